import type { Cluster } from "../../../model/cluster.ts";
import { duration } from "../duration.ts";
import type { ClusterFields } from "./cluster-fields.ts";

/**
 * Leaves out addresses that fail in a row. Envoy also judges by rates of success unless it is told not to, and counts
 * gateway failures without acting on them: each kind is switched by what the model says.
 */
export function outlierDetection({ outliers }: Cluster): ClusterFields {
  if (outliers === undefined) return {};
  const { consecutive5xx, consecutiveGatewayFailures, intervalMs, baseEjectionMs, maxEjectionPercent } =
    outliers;
  return {
    outlierDetection: {
      ...(consecutive5xx === undefined ? {} : { consecutive5xx }),
      enforcingConsecutive5xx: consecutive5xx === undefined ? 0 : 100,
      ...(consecutiveGatewayFailures === undefined
        ? {}
        : { consecutiveGatewayFailure: consecutiveGatewayFailures }),
      enforcingConsecutiveGatewayFailure: consecutiveGatewayFailures === undefined ? 0 : 100,
      enforcingSuccessRate: 0,
      interval: duration(intervalMs),
      baseEjectionTime: duration(baseEjectionMs),
      maxEjectionTime: duration(Math.max(baseEjectionMs, LONGEST_EJECTION_MS)),
      maxEjectionPercent,
      // The first goes whatever the percentage.
      alwaysEjectOneHost: true,
    },
  };
}

/** Envoy's default, which may not be below the base time. */
const LONGEST_EJECTION_MS = 300_000;
