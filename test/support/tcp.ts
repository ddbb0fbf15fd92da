import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
} from "node:tls";
import { certificates } from "./certificates.ts";
import type { UpstreamKind } from "./upstream.ts";

export function tcpMappingYaml(name: string, spec: Record<string, unknown>): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "TCPMapping", metadata: { name }, spec })}\n`;
}

export interface ByteServer {
  readonly port: number;
  readonly sockets: Socket[];
  /** Subject of each client's certificate, and the server name it asked for; null where there is none. */
  readonly clients: { subject: string | null; serverName: string | null }[];
  close(): void;
}

/** A server that is no HTTP server: `onSocket` says what it does with each connection. */
export async function startByteServer(
  kind: UpstreamKind,
  onSocket: (socket: Socket) => void,
): Promise<ByteServer> {
  const { ca, server: identity } = await certificates();
  const sockets: Socket[] = [];
  const clients: ByteServer["clients"] = [];
  const accept = (socket: Socket): void => {
    const secure = kind === "cleartext" ? null : (socket as TLSSocket);
    sockets.push(socket);
    clients.push({
      subject: secure?.getPeerX509Certificate()?.subject ?? null,
      serverName: (secure?.servername as string | false | undefined) || null,
    });
    socket.on("error", () => {});
    socket.allowHalfOpen = true;
    onSocket(socket);
  };
  const server: Server =
    kind === "cleartext"
      ? createServer({ allowHalfOpen: true }, accept)
      : createTlsServer(
          {
            cert: identity.certificate,
            key: identity.privateKey,
            ...(kind === "mtls" ? { ca: ca.certificate, requestCert: true, rejectUnauthorized: true } : {}),
          },
          accept,
        );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    clients,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Says its name, then gives back what it gets until the other side ends. */
export function echoing(name: string): (socket: Socket) => void {
  return (socket) => {
    socket.write(`${name}:`);
    socket.pipe(socket);
  };
}

/** What a client saw of its connection. */
export interface Conversation {
  readonly received: string;
  /** Subject of the certificate that it was shown. */
  readonly subject: string | null;
  /** Of an error, ECONNRESET for example; null after an orderly end. */
  readonly error: string | null;
}

/** Sends bytes, ends its side, and collects what comes until the other side ends too. */
export function converse(
  port: number,
  pieces: readonly (string | Buffer)[],
  tls?: ConnectionOptions & { before?: Buffer | string },
): Promise<Conversation> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    if (tls?.before !== undefined) socket.write(tls.before);
    const stream: Socket =
      tls === undefined ? socket : connectTls({ socket, rejectUnauthorized: false, ...tls });
    stream.allowHalfOpen = true;
    let received = "";
    let subject: string | null = null;
    let error: string | null = null;
    stream.on("secureConnect", () => {
      subject = (stream as TLSSocket).getPeerX509Certificate()?.subject ?? null;
    });
    stream.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
    });
    stream.on("error", (found: NodeJS.ErrnoException) => {
      error = found.code ?? found.message;
    });
    stream.on("close", () => resolve({ received, subject, error }));
    stream.on(tls === undefined ? "connect" : "secureConnect", () => {
      for (const piece of pieces) stream.write(piece);
      stream.end();
    });
  });
}

/** Waits for what another task does. */
export async function eventually(test: () => boolean, what: string, milliseconds = 20_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!test()) {
    if (performance.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A connection that stays open: resolves once the first bytes are there. */
export function converseOn(
  port: number,
  first = "hello",
): Promise<{ socket: Socket; received: () => string; closed: () => string | null }> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let received = "";
    let error = "";
    let isClosed = false;
    const conversation = { socket, received: () => received, closed: () => (isClosed ? error : null) };
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      resolve(conversation);
    });
    socket.on("error", (found: NodeJS.ErrnoException) => {
      error = found.code ?? found.message;
    });
    socket.on("close", () => {
      isClosed = true;
      resolve(conversation);
    });
    socket.write(first);
  });
}
