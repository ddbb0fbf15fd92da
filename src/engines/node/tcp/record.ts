import { round } from "../access.ts";
import { randomUUID } from "node:crypto";
import type { TcpDestination } from "../../../model/tcp.ts";
import type { Serving } from "../serving.ts";
import type { UpstreamFailure } from "../upstream/classify.ts";
import type { AcceptedStream } from "./listener.ts";

/** How a connection ended: by both sides, by a failure, after nobody said anything, with the gateway, or with its client's acceptance. */
export type StreamEnd = "completed" | "failed" | "idle" | "drained" | "refused";

export interface StreamFailure extends UpstreamFailure {
  readonly address: string | null;
}

/** What a connection tells of itself when it is over. */
export interface FinishedStream {
  readonly accepted: AcceptedStream;
  readonly serving: Serving;
  readonly plan: { readonly revision: number };
  readonly destination: TcpDestination;
  /** `performance.now()`; `firstByteAt` is 0 where the upstream said nothing. */
  readonly startedAt: number;
  readonly firstByteAt: number;
  /** From the client, and to it. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly upstream: {
    readonly address: string;
    readonly tlsVersion: string | null;
    readonly tlsCipher: string | null;
    readonly identityPresented: string | null;
    readonly identityVerified: string | null;
  } | null;
}

/** Counts a finished connection, keeps its failure, and writes its line in the access log. */
export function recordStream(stream: FinishedStream, end: StreamEnd, failure: StreamFailure | null): void {
  const { accepted, serving, upstream, destination } = stream;
  const { stats } = serving;
  const route = stats.tcpRoute(destination.name);
  route.open--;
  route.ends.set(end, (route.ends.get(end) ?? 0) + 1);
  const id = randomUUID();
  const time = new Date().toISOString();
  const address = upstream?.address ?? failure?.address ?? null;
  if (failure !== null) {
    const { address: _, ...told } = failure;
    stats.failures.set(told.reason, (stats.failures.get(told.reason) ?? 0) + 1);
    serving.onFailure({ id, time, route: destination.name, ...told, upstream: address });
  }
  if (serving.accessLog === undefined) return;
  serving.accessLog({
    time,
    client: accepted.remoteAddress,
    listener: accepted.listener,
    method: "TCP",
    path: "-",
    host: accepted.serverName ?? "-",
    status: 0,
    request_bytes: stream.bytesUp,
    response_bytes: stream.bytesDown,
    duration_ms: round(performance.now() - stream.startedAt),
    upstream_ms: stream.firstByteAt === 0 ? null : round(stream.firstByteAt - stream.startedAt),
    request_id: id,
    route: destination.name,
    upstream: address,
    tls_version: accepted.tlsVersion,
    tls_cipher: accepted.tlsCipher,
    client_identity: accepted.clientIdentity,
    upstream_tls_version: upstream?.tlsVersion ?? null,
    upstream_tls_cipher: upstream?.tlsCipher ?? null,
    identity_presented: upstream?.identityPresented ?? null,
    identity_verified: upstream?.identityVerified ?? null,
    failure: failure?.reason ?? null,
    handshake: failure?.handshake ?? null,
    failure_id: failure === null ? null : id,
    revision: stream.plan.revision,
  });
}
