import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Consul } from "./consul.ts";

/** What a service of Connect saw of one request. */
export interface SeenPeer {
  /** `URI:spiffe://…` of the client's certificate. */
  readonly client: string;
  /** The name of the root that issued it. */
  readonly issuer: string;
  readonly sni: string;
  readonly path: string;
}

export interface ConnectService {
  readonly port: number;
  readonly seen: SeenPeer[];
  /** Takes the roots anew, as Consul has them now. */
  renewTrust(): Promise<void>;
  /** Takes leaf and roots anew. */
  renew(): Promise<void>;
  close(): Promise<void>;
}

interface Leaf {
  readonly CertPEM: string;
  readonly PrivateKeyPEM: string;
}
interface Roots {
  readonly Roots: readonly { readonly RootCert: string }[];
}

/** A TLS server as a sidecar is one: with the leaf of `service`, and for clients that have a leaf of the same roots. */
export async function startConnectService(consul: Consul, service: string): Promise<ConnectService> {
  const seen: SeenPeer[] = [];
  const fetched = async () => {
    const [leaf, roots] = await Promise.all([
      consul.ask<Leaf>(`/v1/agent/connect/ca/leaf/${service}`),
      consul.ask<Roots>("/v1/agent/connect/ca/roots"),
    ]);
    return {
      cert: leaf.CertPEM,
      key: leaf.PrivateKeyPEM,
      ca: roots.Roots.map(({ RootCert }) => RootCert),
      requestCert: true,
      rejectUnauthorized: true,
    };
  };
  let options = await fetched();
  const server = createServer(options, (request: IncomingMessage, response: ServerResponse) => {
    const socket = request.socket as TLSSocket;
    seen.push({
      client: socket.getPeerX509Certificate()?.subjectAltName ?? "",
      issuer: socket.getPeerX509Certificate()?.issuer ?? "",
      path: request.url ?? "",
      sni: String((socket as { servername?: string | false }).servername ?? ""),
    });
    response.end("ok");
  });
  server.keepAliveTimeout = 60_000;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    async renewTrust() {
      options = { ...options, ca: (await fetched()).ca };
      server.setSecureContext(options);
    },
    async renew() {
      options = await fetched();
      server.setSecureContext(options);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
