import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import { FAILURE_REASONS, type FailureReason, type FailureRecord } from "../../diagnostics/failure.ts";

/** The one place where a failure becomes a response: the client learns the status and an opaque id, the operator the rest. */
export interface FailureResponse {
  readonly record: FailureRecord;
  readonly status: number;
  /** Complete, with body; without it for HEAD. */
  readonly bytes: string;
  readonly bodyBytes: number;
}

export function failureResponse(failure: {
  readonly reason: FailureReason;
  readonly cause: string;
  readonly route: string | null;
  readonly upstream: string | null;
  readonly serverName: string;
  readonly close: boolean;
  readonly isHead: boolean;
}): FailureResponse {
  const status = FAILURE_REASONS[failure.reason];
  const text = STATUS_CODES[status] ?? "Client Closed Request";
  const id = randomUUID();
  const time = new Date();
  const body = `{"status":${status},"message":"${text}","id":"${id}"}\n`;
  let head =
    `HTTP/1.1 ${status} ${text}\r\nserver: ${failure.serverName}\r\ndate: ${time.toUTCString()}\r\n` +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\ncache-control: no-store\r\n`;
  // RFC 9110 §15.5.22 wants the protocol to move to named in a 426.
  if (status === 426) head += "upgrade: HTTP/1.1\r\nconnection: upgrade, close\r\n";
  else if (failure.close) head += "connection: close\r\n";
  return {
    record: {
      id,
      time: time.toISOString(),
      route: failure.route,
      reason: failure.reason,
      cause: failure.cause,
      upstream: failure.upstream,
    },
    status,
    bytes: failure.isHead ? `${head}\r\n` : `${head}\r\n${body}`,
    bodyBytes: failure.isHead ? 0 : body.length,
  };
}
