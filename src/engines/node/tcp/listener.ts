import type { Socket } from "node:net";
import type { CredentialReader } from "../../../credentials/credential.ts";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import type { TcpChain, TcpListener } from "../../../model/tcp.ts";
import { type ListeningContext, ListeningSocket } from "../listening-socket.ts";
import { failureOfHello } from "../tls/handshake-failure.ts";
import { type HelloOutcome, readHello } from "../tls/hello-reader.ts";
import type { VouchedClient } from "../tls/client-check.ts";
import { type SecureConnection, Termination } from "../tls/termination.ts";
import { tellClient } from "../verified.ts";
import { ChainTable } from "./chain-table.ts";

/** A client's connection and the chain that takes it. Errors of the socket are the receiver's from now on. */
export interface AcceptedStream {
  readonly socket: Socket;
  /** The client that is to be judged again when what it was judged by changes. */
  readonly vouched: VouchedClient | null;
  readonly chain: TcpChain;
  readonly listener: string;
  /** The client's, or what a PROXY header tells. */
  readonly remoteAddress: string;
  /** In lower case; null without one, or where nobody has looked. */
  readonly serverName: string | null;
  /** Of TLS that is terminated here. */
  readonly clientIdentity: string | null;
  readonly tlsVersion: string | null;
  readonly tlsCipher: string | null;
}

export interface TcpListenerContext extends ListeningContext {
  readonly credentials: CredentialReader;
  readonly onStream: (accepted: AcceptedStream) => void;
}

/** A port of TCPMappings: finds out which of them a connection is for, and terminates its TLS where that one says so. */
export class NodeTcpListener {
  readonly #context: TcpListenerContext;
  readonly #socket: ListeningSocket;
  readonly #termination: Termination;
  #config: TcpListener;
  #chains: ChainTable;

  constructor(config: TcpListener, context: TcpListenerContext) {
    this.#config = config;
    this.#context = context;
    this.#chains = new ChainTable(config);
    this.#socket = new ListeningSocket(context, (socket) => this.#onSocket(socket));
    this.#termination = new Termination(this.#chains.hosts, {
      credentials: context.credentials,
      limits: context.limits,
      logger: context.logger,
      listener: config.name,
      onFailed: context.onHandshakeFailed,
      addressOf: (socket) => this.#socket.addressOf(socket),
      onSecure: (connection) => this.#onSecure(connection),
    });
  }

  get config(): TcpListener {
    return this.#config;
  }

  /** How many connections came to nothing before a chain had them, by reason. */
  get handshakeFailures(): ReadonlyMap<HandshakeReason, number> {
    return this.#termination.failures;
  }

  /** Rejects with the error of `listen`, e.g. EADDRINUSE. */
  open(): Promise<{ address: string; port: number }> {
    return this.#socket.open(this.#config.address, this.#config.port);
  }

  /** New connections follow `config`, which is for the same port; those that are open live on. */
  update(config: TcpListener): void {
    this.#config = config;
    this.#chains = new ChainTable(config);
    this.#termination.update(this.#chains.hosts);
  }

  onCredentialChange(): void {
    this.#termination.onCredentialChange(undefined);
  }

  /** Stops accepting; what is open lives on. */
  close(): void {
    this.#socket.close();
  }

  #onSocket(socket: Socket): void {
    const { rest, readsServerName } = this.#chains;
    if (rest !== null && !readsServerName) this.#openStream(socket, rest, null);
    else
      readHello(socket, this.#context.limits.handshakeTimeoutMs, (outcome) => this.#onHello(socket, outcome));
  }

  #onHello(socket: Socket, outcome: HelloOutcome): void {
    if (outcome.kind === "hello") {
      const { serverName } = outcome;
      const chain = this.#chains.find(serverName);
      if (chain?.tls.mode === "passthrough" || chain?.tls.mode === "cleartext")
        this.#openStream(socket, chain, serverName);
      else this.#termination.accept(socket, serverName);
      return;
    }
    const { rest } = this.#chains;
    if (outcome.kind === "not_tls" && rest !== null) this.#openStream(socket, rest, null);
    else this.#refuse(socket, failureOfHello(outcome.kind));
  }

  #openStream(socket: Socket, chain: TcpChain, serverName: string | null): void {
    this.#context.onStream({
      socket,
      vouched: null,
      chain,
      listener: this.#config.name,
      remoteAddress: this.#socket.addressOf(socket),
      serverName,
      clientIdentity: null,
      tlsVersion: null,
      tlsCipher: null,
    });
  }

  #onSecure(connection: SecureConnection): void {
    const { socket, serverName, clientIdentity, vouched } = connection;
    tellClient(this.#context.onVerified, this.#config.name, vouched);
    const chain = this.#chains.find(serverName);
    // What was opened for one chain goes to no other, should the chains have changed meanwhile.
    if (chain?.tls.mode !== "terminate") {
      this.#refuse(socket, "settings_changed");
      return;
    }
    this.#context.onStream({
      socket,
      vouched,
      chain,
      listener: this.#config.name,
      remoteAddress: this.#socket.addressOf(socket),
      serverName,
      clientIdentity,
      tlsVersion: socket.getProtocol(),
      tlsCipher: socket.getCipher().name,
    });
  }

  #refuse(socket: Socket, reason: HandshakeReason): void {
    this.#termination.refuse(socket, reason, {});
  }
}
