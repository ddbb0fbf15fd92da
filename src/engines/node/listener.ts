import type { X509Certificate } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { CredentialChange, CredentialReader } from "../../credentials/credential.ts";
import type { Listener } from "../../model/listener.ts";
import type { ClientAuth } from "../../model/tls.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Limits } from "./limits.ts";
import { type SecureConnection, Termination } from "./tls/termination.ts";
import type { VirtualHostTable } from "./virtual-hosts.ts";

/** A connection whose handshake, if it has one, is done. Errors of the socket are the receiver's from now on. */
export interface AcceptedConnection extends ConnectionFacts {
  readonly socket: Socket;
}

/** What is known of a connection when its requests are judged. */
export interface ConnectionFacts {
  readonly socket: Pick<Socket, "remotePort" | "localAddress" | "localPort">;
  readonly listener: Listener;
  /** Without the `::ffff:` of an IPv4 client on an IPv6 socket. */
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Server name of the handshake in lower case; null too where a resumed TLS 1.2 session hides it. */
  readonly serverName: string | null;
  /** What the handshake was held to. */
  readonly clients: ClientAuth;
  /** Subject of the verified client certificate. */
  readonly clientIdentity: string | null;
  /** The verified one. */
  readonly clientCertificate: X509Certificate | null;
  /** The one that was shown to the client, null in cleartext. */
  readonly ownCertificate: () => X509Certificate | null;
  readonly tlsVersion: string | null;
  readonly tlsCipher: string | null;
}

export interface ListenerContext {
  readonly hosts: VirtualHostTable;
  readonly credentials: CredentialReader;
  readonly limits: Limits;
  readonly logger: Logger;
  /** False closes a new connection at once. */
  readonly mayAccept: () => boolean;
  readonly onConnection: (accepted: AcceptedConnection) => void;
}

/** One listening socket. */
export class NodeListener {
  readonly #listener: Listener;
  readonly #context: ListenerContext;
  readonly #server: Server;
  readonly #termination: Termination | null;
  /** Sockets that are open, also those in a handshake, which nobody else counts. */
  #open = 0;
  /** How many handshakes failed, by reason. */
  readonly handshakeFailures: Map<string, number>;

  constructor(listener: Listener, context: ListenerContext) {
    this.#listener = listener;
    this.#context = context;
    this.#termination =
      listener.transport === "tls"
        ? new Termination(context.hosts, {
            credentials: context.credentials,
            limits: context.limits,
            logger: context.logger,
            onSecure: (connection) => this.#onSecure(connection),
          })
        : null;
    this.handshakeFailures = this.#termination?.failures ?? new Map();
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#onSocket(socket));
  }

  /** Rejects with the error of `listen`, e.g. EADDRINUSE. */
  open(): Promise<{ address: string; port: number }> {
    const { address: host, port } = this.#listener;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port, backlog: BACKLOG }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error) => this.#context.logger.error({ err: error }, "listener error"));
        const { address, port: bound } = this.#server.address() as AddressInfo;
        resolve({ address, port: bound });
      });
    });
  }

  update(hosts: VirtualHostTable): void {
    this.#termination?.update(hosts);
  }

  /** A certificate or trust bundle changed (any may have, without `change`): new handshakes see it at once. */
  onCredentialChange(change?: CredentialChange): void {
    this.#termination?.onCredentialChange(change);
  }

  /** Stops accepting; what is open lives on. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    // The callback would wait for every open connection, which is not ours to wait for.
    this.#server.close();
  }

  #onSocket(socket: Socket): void {
    if (this.#open >= this.#context.limits.maxConnections || !this.#context.mayAccept()) {
      socket.destroy();
      return;
    }
    this.#open++;
    socket.once("close", () => this.#open--);
    if (this.#termination !== null) {
      this.#termination.accept(socket);
      return;
    }
    this.#context.onConnection({
      socket,
      listener: this.#listener,
      remoteAddress: plainAddress(socket.remoteAddress),
      secure: false,
      serverName: null,
      clients: NO_CLIENT_CERTIFICATES,
      clientIdentity: null,
      clientCertificate: null,
      ownCertificate: () => null,
      tlsVersion: null,
      tlsCipher: null,
    });
  }

  #onSecure({ socket, serverName, clients, clientIdentity }: SecureConnection): void {
    this.#context.onConnection({
      socket,
      listener: this.#listener,
      remoteAddress: plainAddress(socket.remoteAddress),
      secure: true,
      serverName,
      clients,
      clientIdentity,
      clientCertificate: clientIdentity === null ? null : (socket.getPeerX509Certificate() ?? null),
      ownCertificate: () => socket.getX509Certificate() ?? null,
      tlsVersion: socket.getProtocol(),
      tlsCipher: socket.getCipher().name,
    });
  }
}

/** The kernel's own maximum (net.core.somaxconn) bounds it further. */
const BACKLOG = 4096;
const NO_CLIENT_CERTIFICATES: ClientAuth = { mode: "none" };

function plainAddress(address: string | undefined): string {
  return address === undefined ? "unknown" : address.startsWith("::ffff:") ? address.slice(7) : address;
}
