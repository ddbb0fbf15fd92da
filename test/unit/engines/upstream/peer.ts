import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from "node:tls";
import type { Endpoint } from "../../../../src/endpoints/endpoint.ts";

/** A real upstream: answers every read with `answer`, and remembers what came in. */
export interface Peer {
  readonly endpoint: Endpoint;
  /** TCP connections accepted so far, and those that are open. */
  readonly accepted: Socket[];
  readonly open: Set<Socket>;
  /** One a completed handshake. */
  readonly handshakes: PeerHandshake[];
  received: string;
  /** Null: says nothing. */
  answer: string | null;
  close(): Promise<void>;
}

export interface PeerHandshake {
  readonly socket: TLSSocket;
  readonly subject: string | undefined;
  readonly serverName: string | false | null;
  readonly resumed: boolean;
}

export async function tlsPeer(options: TlsOptions): Promise<Peer> {
  const server = createTlsServer(options, (socket) => {
    const subject: unknown = socket.getPeerCertificate().subject?.CN;
    handshakes.push({
      socket,
      subject: typeof subject === "string" ? subject : undefined,
      serverName: (socket as TLSSocket & { servername: string | false | null }).servername,
      resumed: socket.isSessionReused(),
    });
    serve(socket, peer);
  });
  const handshakes: PeerHandshake[] = [];
  server.on("tlsClientError", () => undefined);
  const peer = await listen(server, handshakes);
  return peer;
}

export async function tcpPeer(onConnection: (socket: Socket, peer: Peer) => void = serve): Promise<Peer> {
  const server = createServer((socket) => onConnection(socket, peer));
  const peer = await listen(server, []);
  return peer;
}

/** There is an `openssl` command to play the peer. */
export const OPENSSL: boolean = spawnSync("openssl", ["version"]).status === 0;

/** OpenSSL's own server, which insists on a client certificate under `ca` and sends an alert where it sees none. */
export async function opensslPeer(
  issued: { certificate: string; privateKey: string },
  ca: string,
  ...flags: string[]
): Promise<{ readonly endpoint: Endpoint; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "credence-peer-"));
  const files = { cert: issued.certificate, key: issued.privateKey, CAfile: ca };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  const { port } = await closedPort();
  const named = Object.keys(files).flatMap((name) => [`-${name}`, join(folder, name)]);
  const verify = ["-Verify", "3", "-verify_return_error"];
  const server = spawn("openssl", [
    "s_server",
    "-accept",
    `127.0.0.1:${port}`,
    ...named,
    ...verify,
    ...flags,
  ]);
  const exited = once(server, "exit");
  server.stderr.resume();
  await new Promise<void>((resolve) => {
    server.stdout.on("data", (text: Buffer) => text.includes("ACCEPT") && resolve());
  });
  return {
    endpoint: { address: "127.0.0.1", port },
    async close() {
      server.kill();
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<Endpoint> {
  const peer = await tcpPeer();
  await peer.close();
  return peer.endpoint;
}

function serve(socket: Socket, peer: Peer): void {
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => {
    peer.received += chunk.toString("latin1");
    if (peer.answer !== null) socket.write(peer.answer);
  });
}

async function listen(server: Server, handshakes: PeerHandshake[]): Promise<Peer> {
  const accepted: Socket[] = [];
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => undefined);
    accepted.push(socket);
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: { address: "127.0.0.1", port: (server.address() as AddressInfo).port },
    accepted,
    open,
    handshakes,
    received: "",
    answer: "answer",
    close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      return closed.then(() => undefined);
    },
  };
}
