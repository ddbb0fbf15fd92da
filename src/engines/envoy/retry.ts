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

/**
 * Of routes without a `retry_policy`: a connection that was kept and ends as it is used is replaced, once, where saying the
 * request again does no harm (RFC 9110 §9.2.2). Envoy cannot tell a kept connection from a new one, so the same goes for a
 * new one that fails. PUT is left out: it comes with a body, which the other engine does not say again either, and Envoy
 * would hold back.
 */
export function staleConnectionRetry(): MessageInitShape<typeof RetryPolicySchema> {
  return {
    retryOn: "reset",
    numRetries: 1,
    retryBackOff: { baseInterval: duration(1), maxInterval: duration(1) },
    // Any of them is enough. Not one regular expression: Envoy would compile it for each route of each change.
    retriableRequestHeaders: REPEATABLE.map((value) => ({
      name: ":method",
      headerMatchSpecifier: {
        case: "stringMatch" as const,
        value: { matchPattern: { case: "exact" as const, value } },
      },
    })),
  };
}

const REPEATABLE = ["DELETE", "GET", "HEAD", "OPTIONS", "TRACE"];
const PREVIOUS_HOSTS = pack(PreviousHostsPredicateSchema, create(PreviousHostsPredicateSchema));
