import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Deadlines, Timed } from "../deadlines.ts";
import type { Gathered } from "../gathered.ts";
import { copiesWrites, SMALL_BODY, writeText } from "../socket-text.ts";
import { atTurnEnd, type TurnWaiter, turnTime } from "../turn.ts";
import { classify, type UpstreamFailure } from "./classify.ts";
import type { VerifiedPeer } from "./generation.ts";
import type { UpstreamHost } from "./host.ts";
import type { Incoming, Receiver } from "./incoming.ts";

/** One request that wants, has or had an upstream connection. A connection has at most one user. */
export interface UpstreamUser {
  /** May be called from within `acquire`. */
  onUpstreamReady(connection: UpstreamConnection): void;
  onUpstreamFailed(failure: UpstreamFailure, address: string | null): void;
  /** `chunk` is overwritten by the next read: whatever is to outlive this call must be copied. */
  onUpstreamData(chunk: Buffer): void;
  /**
   * Asked after an onUpstreamData of many bytes by a connection that reads up to `readSize` bytes at a time: where the next ones are to
   * be read to; null: anywhere.
   */
  landing?(readSize: number): Gathered | null;
  /** After a write that returned false. */
  onUpstreamDrain(): void;
  /** The upstream will send no more, and may still read. Where this is left out, it counts as onUpstreamClosed. */
  onUpstreamEnd?(): void;
  /** Ended while in use; called once. An orderly end has the cause `CLEAN_END`. */
  onUpstreamClosed(failure: UpstreamFailure): void;
}

/** What a connection's pool is told. */
export interface ConnectionOwner {
  /** How long a connection may be idle, and how old it may grow, in milliseconds. */
  readonly idleMs: number;
  readonly lifetimeMs: number;
  onUse(): void;
  /** The request on it is over; `onIdle` or `onGone` follows. */
  onFree(): void;
  /** False: it is not wanted any more. */
  onIdle(connection: UpstreamConnection): boolean;
  onGone(connection: UpstreamConnection): void;
}

/** What the handshake settled. */
export interface ConnectionFacts {
  readonly address: string;
  readonly tlsVersion: string | null;
  readonly tlsCipher: string | null;
  /** `subject (generation N)` of the certificate presented. */
  readonly identityPresented: string | null;
  /** The name verified in the peer's certificate. */
  readonly identityVerified: string | null;
  /** Milliseconds since the epoch: the earliest end in the chain that vouches for the peer, Infinity where nothing does. */
  readonly peerNotAfter: number;
  /** Null where the peer is not verified. */
  readonly peer: VerifiedPeer | null;
}

/** A connection to an upstream, ready to carry one request after the other. Its listeners are set once, not per request. */
export class UpstreamConnection implements Timed, TurnWaiter, Receiver {
  deadline: number = Number.POSITIVE_INFINITY;
  /** Requests it has carried; above 0 it came from the pool. */
  served = 0;
  /** `performance.now()` of its last release. */
  idleSince = 0;
  readonly host: UpstreamHost;
  readonly address: string;
  readonly tlsVersion: string | null;
  readonly tlsCipher: string | null;
  readonly identityPresented: string | null;
  readonly identityVerified: string | null;
  readonly #socket: Socket;
  readonly #incoming: Incoming;
  readonly #owner: ConnectionOwner;
  /** `performance.now()` from which it is used for nothing new, and at which it is cut. */
  readonly #oldAt: number;
  readonly #endsAt: number;
  readonly #copies: boolean;
  /** As much as its socket reads at once, in bytes. */
  readonly #readSize: number;
  #user: UpstreamUser | null = null;
  /** To be written, in Latin-1. */
  #text = "";
  #gone = false;

  constructor(
    socket: Socket,
    incoming: Incoming,
    facts: ConnectionFacts,
    host: UpstreamHost,
    owner: ConnectionOwner,
    deadlines: Deadlines,
  ) {
    this.#socket = socket;
    this.#copies = copiesWrites(socket);
    this.host = host;
    this.#incoming = incoming;
    this.address = facts.address;
    this.tlsVersion = facts.tlsVersion;
    this.tlsCipher = facts.tlsCipher;
    this.identityPresented = facts.identityPresented;
    this.identityVerified = facts.identityVerified;
    this.#owner = owner;
    const now = turnTime();
    this.#endsAt = now + (facts.peerNotAfter - Date.now());
    this.#oldAt = Math.min(now + owner.lifetimeMs, this.#endsAt);
    this.#readSize = facts.tlsVersion === null ? TCP_READ : TLS_READ;
    incoming.deliverTo(socket, this);
    socket.on("drain", () => this.#user?.onUpstreamDrain());
    socket.on("end", () => {
      if (socket.allowHalfOpen && this.#user?.onUpstreamEnd !== undefined) this.#user.onUpstreamEnd();
      else this.#onEnd();
    });
    socket.on("error", (error: Error) => this.#onError(error));
    socket.on("close", () => {
      deadlines.leave(this);
      this.#lose(LOST);
      incoming.close();
    });
    deadlines.join(this);
  }

  /** Still fit for a request, as far as can be known without sending one. */
  get usable(): boolean {
    return !this.#gone && this.#socket.writable && !this.#socket.readableEnded && !this.#incoming.unexpected;
  }

  /** The upstream is behind with taking what was written. */
  get full(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** What its user has said, while nothing of it is with the socket: nobody can have acted on it. */
  get unsent(): string {
    return this.#text;
  }

  use(user: UpstreamUser): void {
    this.#user = user;
    // Nothing goes over it past its peer's certificate, either.
    this.deadline = this.#endsAt;
    this.host.requests++;
    this.#owner.onUse();
    user.onUpstreamReady(this);
  }

  /** Latin-1; it leaves at the end of the turn. False: wait for onUpstreamDrain. */
  write(data: string): boolean {
    if (this.#text === "") atTurnEnd(this);
    this.#text += data;
    return !this.full;
  }

  /** A head, and what there is of its body: of one piece where that is small. False: wait for onUpstreamDrain. */
  writeMessage(head: string, body: Buffer | null): boolean {
    if (body === null) return this.write(head);
    // One packet, one TLS record; and who answers a head and closes has no body left unread, which would reset its answer.
    if (body.length <= SMALL_BODY) return this.write(head + body.toString("latin1"));
    this.write(head);
    return this.writeBytes(body);
  }

  writeBytes(data: Buffer): boolean {
    this.onTurnEnd();
    return this.#socket.write(data);
  }

  receive(chunk: Buffer): void {
    // Bytes that nobody asked for would be read as the next response: the connection is not to be trusted again.
    if (this.#user === null) this.destroy();
    else if (this.#text !== "" && this.served > 0) this.#lose(UNASKED);
    else this.#user.onUpstreamData(chunk);
  }

  landing(): Gathered | null {
    return this.#user?.landing?.(this.#readSize) ?? null;
  }

  onTurnEnd(): void {
    const text = this.#text;
    if (text === "" || this.#gone) return;
    this.#text = "";
    writeText(this.#socket, this.#copies, text);
  }

  /** From now on each side ends by itself (RFC 9293 §3.6): the user must have onUpstreamEnd, and call endWriting. */
  allowHalfOpen(): void {
    this.#socket.allowHalfOpen = true;
  }

  /** Nothing more is written. */
  endWriting(): void {
    this.onTurnEnd();
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  /** The request is done. `keepAliveSeconds` is what the upstream said of its patience (`Keep-Alive: timeout=`). */
  release(keepAliveSeconds: number | null): void {
    if (this.#user === null) return;
    this.#free();
    this.served++;
    this.park(keepAliveSeconds);
  }

  /** Nobody uses it for now. */
  park(keepAliveSeconds: number | null): void {
    const now = turnTime();
    const { idleMs } = this.#owner;
    // A second early, so that we close before the upstream does and no request meets its FIN.
    const patience = keepAliveSeconds === null ? idleMs : Math.min(idleMs, keepAliveSeconds * 1000 - 1000);
    this.idleSince = now;
    this.deadline = Math.min(now + patience, this.#oldAt);
    if (this.#text !== "") this.end();
    else if (!this.#socket.isPaused()) this.#offer();
    else {
      // Bytes that wait may belong to no response: the next user must not read them as its own, so they are read first.
      this.#socket.resume();
      setImmediate(() => setImmediate(() => this.#offer()));
    }
  }

  #offer(): void {
    if (this.#gone) return;
    if (this.deadline <= turnTime() || !this.usable || !this.#owner.onIdle(this)) this.end();
  }

  /** Closes in due form what is idle, or has said all: with TLS, close_notify first (RFC 8446 §6.1). */
  end(): void {
    this.#leave();
    this.deadline = turnTime() + LINGER_MS;
    this.#socket.resume();
    this.#socket.destroySoon();
  }

  /** Not to be used again. */
  destroy(): void {
    this.#leave();
    this.#socket.destroy();
  }

  /** As `destroy`, and the upstream can tell it from an orderly end. */
  reset(): void {
    this.#leave();
    resetSocket(this.#socket);
  }

  /** Cuts whatever it is doing; its user learns of it. */
  abort(cause: string): void {
    this.#lose({ reason: "upstream_reset", cause });
  }

  onDeadline(): void {
    if (this.#gone) this.#socket.destroy();
    else if (this.#user === null) this.end();
    else this.abort("its peer's certificate has ended");
  }

  #onError(error: Error): void {
    if (this.#gone) return;
    this.#lose(classify(error, "open", this.identityPresented !== null));
  }

  /** The peer has said that it ends, and is answered in kind. */
  #onEnd(): void {
    const user = this.#user;
    this.end();
    user?.onUpstreamClosed(CLOSED);
  }

  /** Ends the connection from below. */
  #lose(failure: UpstreamFailure): void {
    const user = this.#user;
    this.destroy();
    user?.onUpstreamClosed(failure);
  }

  /** Out of the pool, and nobody's any more. */
  #leave(): void {
    this.#free();
    if (this.#gone) return;
    this.#gone = true;
    this.#owner.onGone(this);
  }

  #free(): void {
    if (this.#user === null) return;
    this.#user = null;
    this.host.requests--;
    this.#owner.onFree();
  }
}

/** Whoever is in the middle of something learns that it was cut: by a reset, or in TLS by the missing close_notify. */
export function resetSocket(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

/** The cause of an orderly end: FIN. With TLS it comes behind close_notify, but Node does not tell where that is missing; nor does Envoy. */
export const CLEAN_END = "closed by the upstream";
const CLOSED: UpstreamFailure = { reason: "upstream_reset", cause: CLEAN_END };
const UNASKED: UpstreamFailure = { reason: "upstream_reset", cause: "bytes before the request" };
const LOST: UpstreamFailure = { reason: "upstream_reset", cause: "connection lost" };
/** TLS gives one record at a time (RFC 8446 §5.1); TCP whatever there is. */
const TLS_READ = 16_384;
const TCP_READ = 65_536;
/** How long a peer may take to let an idle connection end before it is cut. */
const LINGER_MS = 1000;
