import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { RetryPolicy } from "../../model/route.ts";
import { pack } from "../../protobuf/any.ts";
import type { RetryPolicySchema } from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { PreviousHostsPredicateSchema } from "../../protobuf/generated/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { duration } from "./duration.ts";

/** Envoy's backoff is 25 ms at first and 250 ms at most by default, fully jittered. */
export function envoyRetry(policy: RetryPolicy): MessageInitShape<typeof RetryPolicySchema> {
  return {
    retryOn: policy.on,
    numRetries: policy.retries,
    ...(policy.perTryTimeoutMs === undefined ? {} : { perTryTimeout: duration(policy.perTryTimeoutMs) }),
    // The next try goes to another address where there is one.
    retryHostPredicate: [
      {
        name: "envoy.retry_host_predicates.previous_hosts",
        configType: { case: "typedConfig", value: PREVIOUS_HOSTS },
      },
    ],
    hostSelectionRetryMaxAttempts: 3n,
  };
}

const PREVIOUS_HOSTS = pack(PreviousHostsPredicateSchema, create(PreviousHostsPredicateSchema));
