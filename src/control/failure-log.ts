import type { FailureReason, FailureRecord } from "../diagnostics/failure.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { isClients } from "./failures.ts";

/**
 * Writes failures to the log, with the id that the client was told. At most 20 a second of one reason: a flood of them
 * says nothing that the first did not, and must not cost what served requests need. The rest is counted.
 */
export function createFailureLog(logger: Logger, clock: Clock): (record: FailureRecord) => void {
  const windows = new Map<FailureReason, { second: number; count: number }>();
  return (record) => {
    const second = Math.floor(clock.now() / 1000);
    let window = windows.get(record.reason);
    if (window === undefined || window.second !== second) {
      const unsaid = (window?.count ?? 0) - LINES_A_SECOND;
      if (unsaid > 0)
        logger.warn({ reason: record.reason, count: unsaid }, "more requests failed, not logged");
      window = { second, count: 0 };
      windows.set(record.reason, window);
    }
    if (++window.count > LINES_A_SECOND) return;
    const { id, route, reason, cause, handshake, upstream } = record;
    // A client that goes away is everyday life; one that asks wrongly may be worth a look.
    const level = record.reason === "client_disconnected" ? "debug" : isClients(record) ? "info" : "warn";
    logger[level]({ failure_id: id, route, reason, cause, handshake, upstream }, "request failed");
  };
}

const LINES_A_SECOND = 20;
