import type { Cluster } from "../../../model/cluster.ts";
import { Cluster_LbPolicy } from "../../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { ClusterFields } from "./cluster-fields.ts";

/** How an address is chosen among a cluster's. */
export function balancing({ balancer }: Cluster): ClusterFields {
  return {
    lbPolicy: balancer === undefined ? Cluster_LbPolicy.ROUND_ROBIN : POLICIES[balancer],
    commonLbConfig: { healthyPanicThreshold: { value: PANIC_PERCENT } },
  };
}

const POLICIES = {
  "least-request": Cluster_LbPolicy.LEAST_REQUEST,
  "ring-hash": Cluster_LbPolicy.RING_HASH,
  maglev: Cluster_LbPolicy.MAGLEV,
} as const;

/** Ejected addresses are used again only when no other is left. Envoy's default gives up ejection when half are out. */
const PANIC_PERCENT = 1;
