import { randomUUID } from "node:crypto";
import { FAILURE_REASONS, type FailureReason } from "../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import type { Client } from "./client.ts";
import type { FailureResponse } from "./failures.ts";
import type { AcceptedConnection } from "./listener.ts";
import type { Serving } from "./serving.ts";
import { turnTime } from "./turn.ts";

/** What an exchange tells of itself when it is over. */
export interface FinishedExchange {
  readonly connection: Client;
  readonly plan: { readonly revision: number };
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly requestId: string;
  /** `performance.now()`. */
  readonly startedAt: number;
  readonly requestBody: { readonly bytes: number };
  readonly response: { readonly body: { readonly bytes: number }; readonly firstByteAt: number };
  readonly routeName: string | null;
  readonly status: number;
  readonly upstreamAddress: string | null;
  readonly handshake: HandshakeReason | null;
  readonly upstream: {
    readonly tlsVersion: string | null;
    readonly tlsCipher: string | null;
    readonly identityPresented: string | null;
    readonly identityVerified: string | null;
  } | null;
}

/** Counts a finished exchange, keeps its failure, and writes its line in the access log. */
export function recordExchange(
  exchange: FinishedExchange,
  failure: FailureReason | null,
  cause: string,
  failureId: string | null,
): void {
  const { connection, upstream } = exchange;
  const { serving, accepted } = connection;
  const now = turnTime();
  const durationMs = now - exchange.startedAt;
  const status = exchange.status === 0 && failure !== null ? FAILURE_REASONS[failure] : exchange.status;
  const handshake = failure === null ? null : exchange.handshake;
  serving.stats.count(exchange.routeName ?? "-", status, durationMs, failure);
  serving.stats.requestBytes += exchange.requestBody.bytes;
  serving.stats.responseBytes += exchange.response.body.bytes;
  let id = failureId;
  if (failure !== null && id === null) {
    // Nothing could be said to the client; the operator still finds it.
    id = randomUUID();
    serving.onFailure({
      id,
      time: new Date().toISOString(),
      route: exchange.routeName,
      reason: failure,
      cause,
      ...(handshake === null ? {} : { handshake }),
      upstream: exchange.upstreamAddress,
    });
  }
  if (serving.accessLog === undefined) return;
  serving.accessLog({
    time: new Date().toISOString(),
    client: accepted.remoteAddress,
    listener: accepted.listener.name,
    method: exchange.method,
    path: exchange.target,
    host: exchange.host,
    status,
    request_bytes: exchange.requestBody.bytes,
    response_bytes: exchange.response.body.bytes,
    duration_ms: round(durationMs),
    upstream_ms:
      exchange.response.firstByteAt === 0 ? null : round(exchange.response.firstByteAt - exchange.startedAt),
    request_id: exchange.requestId,
    route: exchange.routeName,
    upstream: exchange.upstreamAddress,
    tls_version: accepted.tlsVersion,
    tls_cipher: accepted.tlsCipher,
    client_identity: accepted.clientIdentity,
    upstream_tls_version: upstream?.tlsVersion ?? null,
    upstream_tls_cipher: upstream?.tlsCipher ?? null,
    identity_presented: upstream?.identityPresented ?? null,
    identity_verified: upstream?.identityVerified ?? null,
    failure,
    handshake,
    failure_id: id,
    revision: exchange.plan.revision,
  });
}

/** The same of what never became a request: nothing is known of it but who sent it, and why it was refused. */
export function recordRefusal(
  { record, status, bodyBytes }: FailureResponse,
  accepted: AcceptedConnection,
  serving: Serving,
): void {
  serving.onFailure(record);
  serving.stats.count("-", status, 0, record.reason);
  serving.accessLog?.({
    time: record.time,
    client: accepted.remoteAddress,
    listener: accepted.listener.name,
    method: "-",
    path: "-",
    host: "-",
    status,
    request_bytes: 0,
    response_bytes: bodyBytes,
    duration_ms: 0,
    upstream_ms: null,
    request_id: record.id,
    route: null,
    upstream: null,
    tls_version: accepted.tlsVersion,
    tls_cipher: accepted.tlsCipher,
    client_identity: accepted.clientIdentity,
    upstream_tls_version: null,
    upstream_tls_cipher: null,
    identity_presented: null,
    identity_verified: null,
    failure: record.reason,
    handshake: null,
    failure_id: record.id,
    revision: serving.plan.revision,
  });
}

/** To a microsecond. */
export function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
