import assert from "node:assert/strict";
import { test } from "node:test";
import type { Credential, TrustBundle } from "../../../src/credentials/credential.ts";
import { peerExpectation } from "../../../src/credentials/peer-expectation.ts";
import { verifyPeer } from "../../../src/x509/verify.ts";
import { type Issued, issue, issueCa, NAMES } from "../../support/issuing.ts";

const ROOT = issueCa({ subject: "root" });
const MIDDLE = issueCa({ subject: "middle", by: ROOT });
const TRUST: TrustBundle = { name: "ca", generation: 1, anchors: [ROOT.pem], facts: [] };
const PEER = issue({ by: MIDDLE });

function credential(chain: readonly Issued[], spiffeId?: string): Credential {
  return {
    name: "own",
    generation: 1,
    certificateChain: chain.map(({ pem }) => pem).join(""),
    privateKey: "",
    facts: [],
    notAfter: Number.POSITIVE_INFINITY,
    ...(spiffeId === undefined ? {} : { spiffeId }),
  };
}

function judge(peer: Issued, own?: Credential): string {
  const evidence = { trust: TRUST, crl: undefined, ...(own === undefined ? {} : { own }) };
  const expected = peerExpectation({ usage: "server", name: "peer.example" }, evidence);
  const verdict = verifyPeer(peer.certificate, [], expected, Date.now());
  return verdict.ok ? verdict.identity : verdict.fault;
}

test("an intermediate that we send ourselves is known to be missing where a peer does not, and vouches for nobody", () => {
  assert.equal(judge(PEER), "issuer_unknown");
  assert.equal(judge(PEER, credential([issue({ by: MIDDLE }), MIDDLE])), "intermediate_missing");
});

test("our own chain is read once a credential; of one that took its place, its own chain is known", () => {
  const known = (own: Credential) =>
    peerExpectation({ usage: "server" }, { trust: TRUST, crl: undefined, own }).known;
  const own = credential([issue({ by: MIDDLE }), MIDDLE]);
  assert.equal(known(own), known(own));
  assert.equal(judge(PEER, own), "intermediate_missing");
  // The same name and generation: an issuer's store that was set up anew counts anew.
  const other = issueCa({ subject: "other middle", by: ROOT });
  assert.equal(judge(PEER, credential([issue({ by: other }), other])), "issuer_unknown");
  assert.equal(
    judge(issue({ by: other }), credential([issue({ by: other }), other])),
    "intermediate_missing",
  );
});

test("our own SPIFFE ID says of which trust domain a peer without a name may be", () => {
  const id = "spiffe://prod.example/ns/a/sa/b";
  const peer = issue({ by: ROOT, names: [NAMES.uri(id)] });
  assert.equal(judge(peer, credential([PEER], "spiffe://prod.example/gateway")), id);
  assert.equal(judge(peer, credential([PEER], "spiffe://other.example/gateway")), "spiffe_id_mismatch");
  assert.equal(judge(peer, credential([PEER])), "name_mismatch");
});
