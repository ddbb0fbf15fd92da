import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";

/** A connection that is open, as the peer sees it. */
interface Open {
  /** When its handshake ended, by performance.now(). */
  readonly since: number;
  /** Of the client's certificate, lower-case hex. */
  readonly serial: string;
}

/** An upstream that insists on a client certificate and knows which one is on each connection, and since when. */
export class Peer {
  /** Connections that were made, and requests that came, with another certificate than the one that was in effect by then. */
  readonly violations: string[] = [];
  /** Connections that were open at a time. */
  mostOpen = 0;
  /** Milliseconds that a connection of a retired certificate has stayed for, once its successor was in use. */
  longestStay = 0;
  readonly #server: Server;
  readonly #open = new Map<TLSSocket, Open>();
  /** The only serial number that new connections may have; null: a rotation is under way. */
  #only: string | null = null;
  /** The one that takes over, and since when it is in use. */
  #successor: { readonly serial: string; since: number | null } | null = null;

  private constructor(server: Server) {
    this.#server = server;
    // What becomes of a connection that nobody needs is for the gateway to decide.
    server.keepAliveTimeout = 0;
    // Each connection shows who it is of: what is resumed would say what the first one said.
    server.on("secureConnection", (socket: TLSSocket) => {
      const serial = socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "";
      this.#open.set(socket, { since: performance.now(), serial });
      this.mostOpen = Math.max(this.mostOpen, this.#open.size);
      if (this.#only !== null && serial !== this.#only)
        this.violations.push(`a new connection with ${serial}, when ${this.#only} was in effect`);
      if (this.#successor?.serial === serial) this.#successor.since ??= performance.now();
      socket.on("close", () => this.#left(socket, serial));
    });
  }

  static async start(identity: IssuedCertificate, clientAnchors: readonly string[]): Promise<Peer> {
    let requests = 0;
    const server = createServer(
      { ...shown(identity, clientAnchors), requestCert: true, rejectUnauthorized: true },
      ({ socket }, response) => {
        peer.#check(socket as TLSSocket);
        // Some are under way for longer than a rotation takes.
        if (++requests % SLOW_EVERY === 0) setTimeout(() => response.end("ok"), SLOW_MS);
        else response.end("ok");
      },
    );
    const peer = new Peer(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return peer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** For handshakes from now on. */
  present(identity: IssuedCertificate, clientAnchors: readonly string[]): void {
    this.#server.setSecureContext(shown(identity, clientAnchors));
  }

  /** There are connections, and each was made after `moment` with the certificate of `serial`. */
  isSpokenToOnlyBy(serial: string, moment: number): boolean {
    const open = [...this.#open.values()];
    return open.length > 0 && open.every((each) => each.serial === serial && each.since >= moment);
  }

  /** Whatever comes from now on must have this one; null: it may have any. */
  allowOnly(serial: string | null): void {
    this.#only = serial;
  }

  /** This certificate takes over: once it is in use, no request may come with one that is retired. null: it is not known yet. */
  expect(serial: string | null): void {
    if (serial === null) {
      this.#successor = null;
      return;
    }
    const isInUse = [...this.#open.values()].some((each) => each.serial === serial);
    this.#successor = { serial, since: isInUse ? performance.now() : null };
  }

  /** For the message of a test that fails. */
  describe(): string {
    const now = performance.now();
    const open = [...this.#open.values()].map(
      ({ since, serial }) => `${serial.slice(0, 8)} since ${Math.round(now - since)} ms`,
    );
    return [...open, ...this.violations.slice(0, 3)].join(", ");
  }

  #check(socket: TLSSocket): void {
    const serial = this.#open.get(socket)?.serial ?? "";
    const late = this.#retiredFor(serial);
    if (late > ON_ITS_WAY_MS)
      this.violations.push(
        `a request with ${serial}, ${late} ms after ${this.#successor?.serial} was in use first`,
      );
  }

  #left(socket: TLSSocket, serial: string): void {
    this.#open.delete(socket);
    this.longestStay = Math.max(this.longestStay, this.#retiredFor(serial));
  }

  /** Milliseconds; 0: it is not. */
  #retiredFor(serial: string): number {
    const since = this.#successor?.since ?? null;
    return since === null || serial === this.#successor?.serial ? 0 : Math.round(performance.now() - since);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const SLOW_EVERY = 16;
const SLOW_MS = 100;
/** A request that was sent before the rotation may be read after it. */
const ON_ITS_WAY_MS = 500;

function shown(identity: IssuedCertificate, clientAnchors: readonly string[]) {
  return { cert: identity.certificate, key: identity.privateKey, ca: clientAnchors.join("") };
}
