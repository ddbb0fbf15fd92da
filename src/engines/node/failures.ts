import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import { FAILURE_REASONS, type FailureReason, type FailureRecord } from "../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import { type ErrorBodies, headWithBody } from "./error-bodies.ts";

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
  readonly handshake?: HandshakeReason | null;
  readonly route: string | null;
  readonly upstream: string | null;
  readonly serverName: string;
  readonly close: boolean;
  readonly isHead: boolean;
  /** Where somebody has chosen another one than the reason's. */
  readonly status?: number | undefined;
  /** What is said instead of our own words. */
  readonly bodies?: ErrorBodies | null;
}): FailureResponse {
  const status = failure.status ?? FAILURE_REASONS[failure.reason];
  const text = STATUS_CODES[status] ?? "Client Closed Request";
  const id = randomUUID();
  const time = new Date();
  const replaced = failure.bodies?.find(status, null) ?? null;
  const body = replaced?.text ?? `{"status":${status},"message":"${text}","id":"${id}"}\n`;
  let head =
    `HTTP/1.1 ${status} ${text}\r\nserver: ${failure.serverName}\r\ndate: ${time.toUTCString()}\r\n` +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\ncache-control: no-store\r\n`;
  // RFC 9110 §15.5.22 wants the protocol to move to named in a 426.
  if (status === 426) head += "upgrade: HTTP/1.1\r\nconnection: upgrade, close\r\n";
  else if (failure.close) head += "connection: close\r\n";
  // The id is what a client can tell the operator: it comes along whatever the body says.
  if (replaced !== null)
    head = headWithBody(`${head}x-credence-failure-id: ${id}\r\n\r\n`, replaced).slice(0, -2);
  return {
    record: {
      id,
      time: time.toISOString(),
      route: failure.route,
      reason: failure.reason,
      cause: failure.cause,
      ...(failure.handshake == null ? {} : { handshake: failure.handshake }),
      upstream: failure.upstream,
    },
    status,
    bytes: failure.isHead ? `${head}\r\n` : `${head}\r\n${body}`,
    bodyBytes: failure.isHead ? 0 : body.length,
  };
}
