import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { AnchorSink } from "../../credentials/anchor-ledger.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { HandshakeSink } from "../engine.ts";
import type { Limits } from "./limits.ts";
import { readProxyHeader } from "./proxy-protocol/reader.ts";

export interface ListeningContext {
  readonly limits: Limits;
  readonly logger: Logger;
  /** False closes a new connection at once. */
  readonly mayAccept: () => boolean;
  /** Whether a connection begins with a PROXY header; absent: none does. */
  readonly readsProxyHeader?: () => boolean;
  readonly onProxyHeaderRefused?: () => void;
  readonly onHandshakeFailed?: HandshakeSink;
  /** Told of each client that was verified. */
  readonly onVerified?: AnchorSink | undefined;
}

/** An open port: accepts within bounds, and knows whose connection each is, also where a proxy in front tells it. */
export class ListeningSocket {
  readonly #context: ListeningContext;
  readonly #server: Server;
  readonly #onSocket: (socket: Socket) => void;
  /** Sockets that are open, also those in a handshake, which nobody else counts. */
  #open = 0;
  /** Addresses that PROXY headers told, by connection. */
  readonly #told = new Map<string, string>();

  constructor(context: ListeningContext, onSocket: (socket: Socket) => void) {
    this.#context = context;
    this.#onSocket = onSocket;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Rejects with the error of `listen`, e.g. EADDRINUSE. */
  open(host: string, port: number): Promise<{ address: string; port: number }> {
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

  /** Stops accepting, and the port is free; what is open lives on. */
  close(): void {
    // A callback would wait for every open connection, which is not ours to wait for.
    if (this.#server.listening) this.#server.close();
  }

  /** Of a socket, or of the TLS socket above it: without the `::ffff:` of an IPv4 client on an IPv6 socket. */
  addressOf(socket: Socket): string {
    const told = this.#told.size === 0 ? undefined : this.#told.get(connectionKey(socket));
    return told ?? plainAddress(socket.remoteAddress);
  }

  #accept(socket: Socket): void {
    const { limits, mayAccept, readsProxyHeader } = this.#context;
    if (this.#open >= limits.maxConnections || !mayAccept()) {
      socket.destroy();
      return;
    }
    this.#open++;
    socket.once("close", () => this.#open--);
    if (readsProxyHeader?.() === true) this.#readProxyHeader(socket);
    else this.#onSocket(socket);
  }

  #readProxyHeader(socket: Socket): void {
    const { limits, logger, onProxyHeaderRefused } = this.#context;
    readProxyHeader(socket, limits.handshakeTimeoutMs, (outcome) => {
      if (outcome.kind === "refused") {
        onProxyHeaderRefused?.();
        const { cause } = outcome;
        logger.info({ peer: plainAddress(socket.remoteAddress), cause }, "connection without PROXY header");
        socket.on("error", ignore);
        socket.destroy();
        return;
      }
      if (outcome.source !== null) {
        const key = connectionKey(socket);
        this.#told.set(key, outcome.source);
        socket.once("close", () => this.#told.delete(key));
      }
      this.#onSocket(socket);
    });
  }
}

/** One connection among those that are open; a TLSSocket has the addresses of the socket under it. */
export function connectionKey({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

/** The kernel's own maximum (net.core.somaxconn) bounds it further. */
const BACKLOG = 4096;
const ignore = (): void => {};

function plainAddress(address: string | undefined): string {
  return address === undefined ? "unknown" : address.startsWith("::ffff:") ? address.slice(7) : address;
}
