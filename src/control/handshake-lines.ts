import { CLIENT_HANDSHAKE_FAILED, type HandshakeRecord } from "../diagnostics/failure.ts";
import type { HandshakeReason } from "../diagnostics/handshake.ts";
import type { AccessLog } from "../telemetry/access-log.ts";

/** Lines of the access log about handshakes of clients that failed. */
export interface HandshakeLines {
  write(record: HandshakeRecord, revision: number | null): void;
  /** How many were not written. */
  readonly leftOut: number;
}

/**
 * At most 20 a second of one reason, as in the log (failure-log.ts): whoever can reach the port can make as many as he likes, and must
 * not fill the disk with them. The rest is counted.
 */
export function createHandshakeLines(log: AccessLog): HandshakeLines {
  const windows = new Map<HandshakeReason, { second: string; count: number }>();
  let leftOut = 0;
  return {
    write(record, revision) {
      const second = record.time.slice(0, LENGTH_TO_THE_SECOND);
      let window = windows.get(record.reason);
      if (window === undefined || window.second !== second) {
        window = { second, count: 0 };
        windows.set(record.reason, window);
      }
      if (++window.count > LINES_A_SECOND) leftOut++;
      else log({ ...entryOf(record), revision });
    },
    get leftOut() {
      return leftOut;
    },
  };
}

const LINES_A_SECOND = 20;
const LENGTH_TO_THE_SECOND = "2026-01-01T00:00:00".length;

/** With the keys of every line, as TCP connections have them. */
function entryOf({ id, time, listener, serverName, client, tlsVersion, reason }: HandshakeRecord) {
  return {
    time,
    client,
    listener,
    method: "TLS",
    path: "-",
    host: serverName ?? "-",
    status: 0,
    request_bytes: 0,
    response_bytes: 0,
    duration_ms: null,
    upstream_ms: null,
    request_id: id,
    route: null,
    upstream: null,
    tls_version: tlsVersion,
    tls_cipher: null,
    client_identity: null,
    upstream_tls_version: null,
    upstream_tls_cipher: null,
    identity_presented: null,
    identity_verified: null,
    failure: CLIENT_HANDSHAKE_FAILED,
    handshake: reason,
    failure_id: id,
  } as const;
}
