"""PyPI's `spiffe` as a workload: prints what the Workload API on the socket given has for it, as JSON."""
import json
import sys

from spiffe import WorkloadApiClient

with WorkloadApiClient("unix://" + sys.argv[1]) as client:
    context = client.fetch_x509_context()
    svids = context.x509_svids
    bundles = context.x509_bundle_set.bundles
    print(
        json.dumps(
            {
                "ids": [str(svid.spiffe_id) for svid in svids],
                "serials": [format(svid.leaf.serial_number, "x") for svid in svids],
                "bundles": {bundle.trust_domain.name: len(bundle.x509_authorities) for bundle in bundles},
            }
        )
    )
