import type { HandshakeLines } from "../control/handshake-lines.ts";
import type { AccessLogWriter } from "../telemetry/access-log-writer.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** Of the lines that this process writes; absent: none. */
export function registerAccessLogMetrics(
  metrics: Metrics,
  accessLog: Pick<AccessLogWriter, "dropped"> | undefined,
  handshakeLines: Pick<HandshakeLines, "leftOut"> | undefined,
): void {
  metrics.counter(
    "credence_access_log_dropped_total",
    "Access log lines that their reader was too slow for.",
    () => [{ labels: {}, value: accessLog?.dropped ?? 0 }],
  );
  metrics.counter(
    "credence_access_log_handshakes_left_out_total",
    "Failed handshakes of clients without a line in the access log: there were too many in their second.",
    () => [{ labels: {}, value: handshakeLines?.leftOut ?? 0 }],
  );
}
