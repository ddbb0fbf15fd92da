import type { CircuitBreaker, Cluster } from "../../../model/cluster.ts";
import { RoutingPriority } from "../../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import type { ClusterFields } from "./cluster-fields.ts";

/** What a cluster may hold at once, by priority. Limits that nobody gave are Envoy's own, which the model's are too. */
export function circuitBreakers({ breakers }: Cluster): ClusterFields {
  if (breakers === undefined) return {};
  const { default: usual, high } = breakers;
  return {
    circuitBreakers: {
      thresholds: [
        ...(usual === undefined ? [] : [{ priority: RoutingPriority.DEFAULT, ...limits(usual) }]),
        ...(high === undefined ? [] : [{ priority: RoutingPriority.HIGH, ...limits(high) }]),
      ],
    },
  };
}

function limits({
  maxConnections,
  maxPendingRequests,
  maxRequests,
  maxRetries,
}: CircuitBreaker): CircuitBreaker {
  return {
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(maxPendingRequests === undefined ? {} : { maxPendingRequests }),
    ...(maxRequests === undefined ? {} : { maxRequests }),
    ...(maxRetries === undefined ? {} : { maxRetries }),
  };
}
