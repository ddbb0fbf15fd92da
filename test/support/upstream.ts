import { createServer as createHttpServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { IssuedCertificate } from "../../src/x509/authority.ts";
import { certificates } from "./certificates.ts";

/** What an upstream saw of one request. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | undefined>>;
  /** Subject of the client certificate, null without TLS or certificate. */
  readonly clientSubject: string | null;
  readonly clientSerial: string | null;
  readonly secure: boolean;
}

export interface Upstream {
  readonly port: number;
  readonly seen: SeenRequest[];
  /** Connections accepted so far. */
  connections: number;
  /** Connections that are open. */
  open: number;
  /** Those with TLS, by the serial number of the client's certificate ("" without one). */
  readonly live: ReadonlyMap<string, number>;
  /** Handshakes from now on are held with this certificate; connections that are open stay. */
  present(identity: IssuedCertificate): void;
  close(): Promise<void>;
}

export type UpstreamKind =
  | "cleartext"
  /** TLS, a client certificate of the test CA required. */
  | "mtls"
  /** TLS, no client certificate asked for. */
  | "tls";

/** A real HTTP server that records what it is asked and answers with it as JSON, or as `answer` says. */
export async function startUpstream(kind: UpstreamKind, answer?: RequestListener): Promise<Upstream> {
  const { ca, server: identity } = await certificates();
  const seen: SeenRequest[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const socket = request.socket as Partial<TLSSocket>;
      const peer = kind === "cleartext" ? undefined : socket.getPeerX509Certificate?.();
      seen.push({
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
        trailers: request.trailers,
        clientSubject: peer?.subject ?? null,
        clientSerial: peer?.serialNumber.toLowerCase() ?? null,
        secure: kind !== "cleartext",
      });
      if (answer !== undefined) answer(request, response);
      else response.setHeader("content-type", "application/json").end(JSON.stringify(seen.at(-1)));
    });
  };
  const clients = kind === "mtls" ? { ca: ca.certificate, requestCert: true, rejectUnauthorized: true } : {};
  const tls = (shown: IssuedCertificate) => ({
    cert: shown.certificate,
    key: shown.privateKey,
    ...clients,
  });
  const secure = kind === "cleartext" ? null : createHttpsServer(tls(identity), listener);
  const server = secure ?? createHttpServer(listener);
  // By default it closes what is idle for five seconds, on a busy machine just as a request comes: Envoy answers that with 503.
  server.keepAliveTimeout = 0;
  const live = new Map<string, number>();
  secure?.on("secureConnection", (socket: TLSSocket) => {
    const serial = socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "";
    const count = (by: number): void => {
      const left = (live.get(serial) ?? 0) + by;
      if (left === 0) live.delete(serial);
      else live.set(serial, left);
    };
    count(1);
    socket.on("close", () => count(-1));
  });
  const upstream: Upstream = {
    port: await listen(server),
    seen,
    connections: 0,
    open: 0,
    live,
    present(shown) {
      secure?.setSecureContext(tls(shown));
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
  server.on("connection", (socket: Socket) => {
    upstream.connections++;
    upstream.open++;
    socket.on("close", () => upstream.open--);
  });
  return upstream;
}

/** A peer that says exactly these bytes to whatever comes, for what a well-behaved server cannot be made to say. */
export async function startRawUpstream(
  onConnection: (socket: Socket) => void,
): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  return {
    port: await listen(server),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}
