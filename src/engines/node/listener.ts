import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { CredentialChange, CredentialReader } from "../../credentials/credential.ts";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import type { Listener } from "../../model/listener.ts";
import type { ClientAuth } from "../../model/tls.ts";
import { type ListeningContext, ListeningSocket } from "./listening-socket.ts";
import type { VouchedClient } from "./tls/client-check.ts";
import { type SecureConnection, Termination } from "./tls/termination.ts";
import { tellClient } from "./verified.ts";
import type { VirtualHostTable } from "./virtual-hosts.ts";

/** A connection whose handshake, if it has one, is done. Errors of the socket are the receiver's from now on. */
export interface AcceptedConnection extends ConnectionFacts {
  readonly socket: Socket;
  /** The client that is to be judged again when what it was judged by changes. */
  readonly vouched: VouchedClient | null;
}

/** What is known of a connection when its requests are judged. */
export interface ConnectionFacts {
  readonly socket: Pick<Socket, "remotePort" | "localAddress" | "localPort">;
  readonly listener: Listener;
  /** The client's, or what a PROXY header tells; without the `::ffff:` of an IPv4 client on an IPv6 socket. */
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

export interface ListenerContext extends ListeningContext {
  readonly hosts: VirtualHostTable;
  readonly credentials: CredentialReader;
  readonly onConnection: (accepted: AcceptedConnection) => void;
}

/** A port for HTTP, with or without TLS. */
export class NodeListener {
  readonly #listener: Listener;
  readonly #context: ListenerContext;
  readonly #socket: ListeningSocket;
  readonly #termination: Termination | null;
  /** How many handshakes failed, by reason. */
  readonly handshakeFailures: ReadonlyMap<HandshakeReason, number>;

  constructor(listener: Listener, context: ListenerContext) {
    this.#listener = listener;
    this.#context = context;
    this.#socket = new ListeningSocket(context, (socket) => this.#onSocket(socket));
    this.#termination =
      listener.transport === "tls"
        ? new Termination(context.hosts, {
            credentials: context.credentials,
            limits: context.limits,
            logger: context.logger,
            listener: listener.name,
            onFailed: context.onHandshakeFailed,
            addressOf: (socket) => this.#socket.addressOf(socket),
            onSecure: (connection) => this.#onSecure(connection),
          })
        : null;
    this.handshakeFailures = this.#termination?.failures ?? new Map();
  }

  /** Rejects with the error of `listen`, e.g. EADDRINUSE. */
  open(): Promise<{ address: string; port: number }> {
    return this.#socket.open(this.#listener.address, this.#listener.port);
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
    this.#socket.close();
  }

  #onSocket(socket: Socket): void {
    if (this.#termination !== null) {
      this.#termination.accept(socket);
      return;
    }
    this.#context.onConnection({
      socket,
      vouched: null,
      listener: this.#listener,
      remoteAddress: this.#socket.addressOf(socket),
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

  #onSecure(connection: SecureConnection): void {
    const { socket, serverName, clients, clientIdentity, vouched } = connection;
    tellClient(this.#context.onVerified, this.#listener.name, vouched);
    this.#context.onConnection({
      socket,
      vouched,
      listener: this.#listener,
      remoteAddress: this.#socket.addressOf(socket),
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

const NO_CLIENT_CERTIFICATES: ClientAuth = { mode: "none" };
