import type { Cluster } from "../../../model/cluster.ts";
import type { ClusterFields } from "./cluster-fields.ts";

/** TCP keepalive; parts that nobody gave are the kernel's. */
export function keepalive(cluster: Cluster): ClusterFields {
  if (cluster.keepalive === undefined) return {};
  const { idleSeconds, intervalSeconds, probes } = cluster.keepalive;
  return {
    upstreamConnectionOptions: {
      tcpKeepalive: {
        ...(probes === undefined ? {} : { keepaliveProbes: probes }),
        ...(idleSeconds === undefined ? {} : { keepaliveTime: idleSeconds }),
        ...(intervalSeconds === undefined ? {} : { keepaliveInterval: intervalSeconds }),
      },
    },
  };
}
