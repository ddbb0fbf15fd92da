import { X509Certificate } from "node:crypto";
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  type ConnectRouter,
  type ContextKey,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Clock } from "../../../telemetry/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import { AdmittedConnections } from "./admitted-connections.ts";
import type { Peer } from "./client.ts";
import { type Pieces, serveStream } from "./grpc-stream.ts";
import type { Refusal } from "./handshake-failure.ts";
import { MutualTlsServer, type TransportTls } from "./mutual-tls.ts";

/** A path is a Unix socket, which only this user may open. */
export type ListenOptions = (
  | { readonly path: string }
  | { readonly address: string; readonly port: number; readonly tls?: TransportTls }
) & {
  /** How often clients are asked whether they are there: one that has not answered by the next time is gone. */
  readonly keepaliveMs?: number;
};

export interface Listening {
  /** Undefined on a Unix socket. */
  readonly port: number | undefined;
  /** New connections are made with these from now on; where the clients' CA is another, those that there are end. */
  renew(tls: TransportTls): void;
  /** Ends every stream. */
  close(): Promise<void>;
}

/** Who is at the other end, for the handlers of `routes`. */
export const PEER: ContextKey<Peer> = createContextKey<Peer>({
  transport: "cleartext",
  certificate: null,
  address: undefined,
});

/** Methods that are sent much, by path: they are served without Connect. */
export type Streams = ReadonlyMap<
  string,
  (requests: AsyncIterable<Uint8Array>, peer: Peer) => AsyncIterable<Pieces>
>;

/** gRPC on HTTP/2, with pings that find out connections that are dead. */
export async function listen(
  options: ListenOptions,
  routes: (router: ConnectRouter) => void,
  logger: Logger,
  clock: Clock,
  onRefused: (refusal: Refusal) => void = () => {},
  streams: Streams = new Map(),
): Promise<Listening> {
  const handler = connectNodeAdapter({
    routes,
    grpc: true,
    grpcWeb: false,
    connect: false,
    contextValues: ({ socket }) => createContextValues().set(PEER, peerOf(socket as TLSSocket, options)),
    readMaxBytes: MOST_REQUEST_BYTES,
    // Envoy asks for none; compressing the world for a hundred others would cost more than sending it.
    acceptCompression: [],
  });
  const http = createServer((request, response) => {
    const method = streams.get(request.url);
    if (method !== undefined) {
      const peer = peerOf(request.socket as TLSSocket, options);
      serveStream(request, response, (requests) => method(requests, peer), MOST_REQUEST_BYTES).catch(
        (error: unknown) => logger.error({ err: error }, "an xDS stream failed"),
      );
      return;
    }
    // The adapter makes a URL of it, and throws; gRPC's C core says the path of a Unix socket there.
    request.headers[":authority"] = "xds";
    handler(request, response);
  });
  const sessions = new Set<ServerHttp2Session>();
  http.on("session", (session) => {
    sessions.add(session);
    const stop = keepAlive(session, options.keepaliveMs ?? KEEPALIVE_MS, () =>
      logger.warn(
        { address: session.socket?.remoteAddress },
        "an xDS client does not answer: its connection is ended",
      ),
    );
    session.once("close", () => {
      stop();
      sessions.delete(session);
    });
    session.on("error", (error) => logger.debug({ err: error }, "an xDS connection failed"));
  });
  http.on("sessionError", (error) => logger.debug({ err: error }, "an xDS connection failed"));
  const tls = "tls" in options ? options.tls : undefined;
  const admitted = new AdmittedConnections(clock, logger);
  const secured =
    tls === undefined
      ? null
      : new MutualTlsServer(tls, {
          onAdmitted: (socket, notAfter) => {
            admitted.add(socket, notAfter);
            // HTTP/2 begins here, and nowhere else.
            http.emit("connection", socket);
          },
          onRefused: (refusal) => {
            logger.warn(refusal, "a TLS handshake for xDS failed");
            onRefused(refusal);
          },
        });
  const server: Server = secured?.server ?? http;
  await opened(server, options);
  server.on("error", (error) => logger.error({ err: error }, "the xDS server failed"));
  const bound = server.address();
  let clientCas = tls?.clientCas.join();
  return {
    port: typeof bound === "object" ? (bound as AddressInfo | null)?.port : undefined,
    renew: (renewed) => {
      if (secured === null) return;
      secured.renew(renewed);
      if (renewed.clientCas.join() === clientCas) return;
      clientCas = renewed.clientCas.join();
      admitted.closeAll();
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

async function opened(server: Server, options: ListenOptions): Promise<void> {
  if ("path" in options && isSocket(options.path)) unlinkSync(options.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const done = (): void => {
      server.off("error", reject);
      resolve();
    };
    if ("path" in options) server.listen(options.path, done);
    else server.listen(options.port, options.address, done);
  });
  if ("path" in options) chmodSync(options.path, 0o600);
}

/** One that a process left behind: whoever still serves there has lost it. */
function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

function peerOf(socket: TLSSocket, options: ListenOptions): Peer {
  if ("path" in options) return { transport: "unix", certificate: null, address: undefined };
  const address = socket.remoteAddress;
  if (options.tls === undefined) return { transport: "cleartext", certificate: null, address };
  const raw = socket.authorized ? socket.getPeerCertificate().raw : undefined;
  return { transport: "tls", certificate: raw === undefined ? null : new X509Certificate(raw), address };
}

/**
 * Returns what stops it. A peer that answers no ping is gone, whatever TCP believes: it may be frozen. After a time in which this
 * process was held up itself nobody is gone yet: what they have answered is not read.
 */
function keepAlive(session: ServerHttp2Session, intervalMs: number, onGone: () => void): () => void {
  let answered = true;
  let asked = performance.now();
  const timer = setInterval(() => {
    if (session.destroyed) return;
    const before = asked;
    asked = performance.now();
    if (!answered) {
      if (asked - before > 1.5 * intervalMs) return;
      onGone();
      session.destroy();
      return;
    }
    answered = false;
    session.ping((error) => {
      answered = error === null;
    });
  }, intervalMs).unref();
  return () => clearInterval(timer);
}

const KEEPALIVE_MS = 15_000;
const MOST_REQUEST_BYTES = 32 * 1024 * 1024;
