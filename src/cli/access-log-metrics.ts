import type { AccessLogWriter } from "../telemetry/access-log-writer.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** Of the lines that this process writes; absent: none. */
export function registerAccessLogMetrics(
  metrics: Metrics,
  accessLog: Pick<AccessLogWriter, "dropped"> | undefined,
): void {
  metrics.counter(
    "credence_access_log_dropped_total",
    "Access log lines that their reader was too slow for.",
    () => [{ labels: {}, value: accessLog?.dropped ?? 0 }],
  );
}
