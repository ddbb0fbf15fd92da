import type { FailureReason } from "../../diagnostics/failure.ts";
import { recordRefusal } from "./access.ts";
import type { Client } from "./client.ts";
import { ClientWriter } from "./client-writer.ts";
import type { Timed } from "./deadlines.ts";
import { readClient } from "./client-reads.ts";
import { Exchange } from "./exchange.ts";
import { failureResponse } from "./failures.ts";
import type { Gathered } from "./gathered.ts";
import { CR, hasBareLf, LF } from "./http1/fields.ts";
import type { AcceptedConnection } from "./listener.ts";
import type { Serving } from "./serving.ts";
import { turnTime } from "./turn.ts";

/**
 * One client's connection: cuts its bytes into requests, one at a time (pipelined ones wait their turn, RFC 9112 §9.3.2),
 * and hands each to an Exchange.
 */
export class ClientConnection implements Client, Timed {
  deadline: number = Number.POSITIVE_INFINITY;
  readonly accepted: AcceptedConnection;
  readonly serving: Serving;
  readonly #writer: ClientWriter;
  /** Bytes that no request has taken yet. */
  #pending: Buffer | null = null;
  #exchange: Exchange | null = null;
  #tunnel = false;
  #paused = false;
  #ended = false;
  #closing = false;
  #closed = false;
  #retired = false;
  /** `performance.now()` of the end of the last request. */
  #idleSince: number;
  /** A head has begun to arrive. */
  #headBegun = false;

  constructor(accepted: AcceptedConnection, serving: Serving) {
    this.accepted = accepted;
    this.serving = serving;
    this.#idleSince = turnTime();
    this.deadline = this.#idleSince + serving.limits.headTimeoutMs;
    const { socket } = accepted;
    this.#writer = new ClientWriter(socket, () => this.#onDrain());
    socket.on("end", () => this.#onEnd());
    socket.on("error", (error: Error) => this.#onClosed(error.message));
    socket.on("close", () => this.#onClosed("connection closed"));
    readClient(socket, (bytes, kept) => this.#onData(bytes, kept));
    serving.deadlines.join(this);
    serving.connections.add(this);
    serving.stats.connectionsOpen++;
    serving.stats.connectionsTotal++;
  }

  get isLast(): boolean {
    return this.#retired || this.serving.draining;
  }

  /** Latin-1 text to the client. False: wait for the exchange's onClientDrain. */
  write(data: string): boolean {
    return this.#writer.text(data);
  }

  /** Bytes to the client, copied: they may be overwritten at once. */
  writeBytes(data: Buffer): boolean {
    return this.#writer.bytes(data);
  }

  lend(size: number): Gathered | null {
    return this.#writer.lend(size);
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.accepted.socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.accepted.socket.resume();
  }

  /** Everything that comes from now on is the exchange's, uncut. */
  becomeTunnel(): void {
    this.#tunnel = true;
    const rest = this.#pending;
    this.#pending = null;
    this.resume();
    if (rest !== null) this.#exchange?.onClientBody(rest, 0);
    if (this.#ended) this.#exchange?.onClientEnd();
  }

  /** The exchange is over. `keepAlive` false closes once everything is written. */
  onExchangeDone(keepAlive: boolean): void {
    this.#exchange = null;
    this.#idleSince = turnTime();
    if (!keepAlive || this.#retired) {
      this.#closeGently();
      return;
    }
    const { plan, limits } = this.serving;
    const idleMs = plan.settings.idleTimeoutMs ?? limits.idleTimeoutMs;
    this.deadline = idleMs === 0 ? Number.POSITIVE_INFINITY : this.#idleSince + idleMs;
    // Not at once: the caller may be inside our own loop, and a long pipeline must not grow the stack.
    if (this.#pending !== null || this.#ended) setImmediate(() => this.#parsePending());
    else this.resume();
  }

  /** Shutdown: a connection in the middle of something ends with it; one long idle is closed, as no request can be on its way. */
  drain(now: number, graceMs: number): void {
    if (this.#exchange === null && now - this.#idleSince >= graceMs && this.#pending === null)
      this.#closeGently();
  }

  /** The client is no longer accepted: the request in flight is its last. */
  retire(): void {
    this.#retired = true;
    if (this.#exchange === null) this.#closeGently();
  }

  destroy(): void {
    this.accepted.socket.destroy();
  }

  onDeadline(): void {
    if (this.#closing) this.destroy();
    else if (this.#exchange !== null) this.#exchange.onDeadline();
    else if (this.#headBegun) this.#refuse("request_timeout", "the request head did not arrive in time");
    else this.#closeGently();
  }

  /** Nearly every chunk is one head and nothing else: what is not `kept` is copied where more than that is to be done with it. */
  #onData(bytes: Buffer, kept: boolean): void {
    if (this.#closing) return;
    const exchange = this.#exchange;
    const mayBegin = exchange === null && this.#pending === null && !this.#writer.full;
    if (mayBegin && this.#parseWhole(bytes)) return;
    const chunk = kept ? bytes : Buffer.from(bytes);
    if (exchange !== null) {
      const taken = exchange.wantsBody || this.#tunnel ? exchange.onClientBody(chunk, 0) : 0;
      if (taken < chunk.length) this.#keep(chunk, taken);
      return;
    }
    if (mayBegin) this.#parse(chunk);
    else {
      this.#pending = this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]);
      this.#parsePending();
    }
  }

  #keep(chunk: Buffer, from: number): void {
    if (this.#closing) return;
    const rest = from === 0 ? chunk : chunk.subarray(from);
    this.#pending = this.#pending === null ? rest : Buffer.concat([this.#pending, rest]);
    // What is pipelined behind a request waits in the kernel, not here, though the request may be answered already.
    this.pause();
    if (this.#exchange === null) setImmediate(() => this.#parsePending());
  }

  /** A client that has ended its side still gets an answer to all that it said before. */
  #parsePending(): void {
    const bytes = this.#pending;
    if (this.#exchange !== null || this.#closing || this.#closed) return;
    // Who does not take its answers is not asked for more requests.
    if (bytes !== null && this.#writer.full) {
      this.pause();
      return;
    }
    this.resume();
    if (bytes === null) {
      if (this.#ended) this.#closeGently();
      return;
    }
    this.#pending = null;
    this.#parse(bytes);
  }

  #onDrain(): void {
    if (this.#exchange === null) this.#parsePending();
    else this.#exchange.onClientDrain();
  }

  /** Takes a chunk that is one good head and nothing else: a search comes too late to find where it ends. */
  #parseWhole(bytes: Buffer): boolean {
    const { length } = bytes;
    if (length > this.#maxHeadBytes || bytes[length - 1] !== LF || bytes[length - 2] !== CR) return false;
    if (bytes[length - 3] !== LF || bytes[length - 4] !== CR) return false;
    if (this.serving.requestHead.parse(bytes, 0, length - 2) !== null) return false;
    this.#begin(bytes, length);
    return true;
  }

  #parse(bytes: Buffer): void {
    let from = 0;
    // RFC 9112 §2.2: an empty line before a request is ignored; one is enough for the clients that send it.
    if (bytes[0] === CR && bytes[1] === LF) from = 2;
    const blank = bytes.indexOf(HEAD_END, from);
    if (blank === -1 || blank - from > this.#maxHeadBytes) {
      this.#waitForHead(bytes, from, blank !== -1);
      return;
    }
    const problem = this.serving.requestHead.parse(bytes, from, blank + 2);
    if (problem === null) this.#begin(bytes, blank + 4);
    // What a part of it would have been refused for comes first: how a head is cut into reads decides nothing.
    else if (hasBareLf(bytes, from, blank)) this.#refuse("bad_request", "bare LF");
    else this.#refuse(problem.reason, problem.cause);
  }

  /** A head has been read, and ends before `bytes[bodyAt]`. */
  #begin(bytes: Buffer, bodyAt: number): void {
    const { serving } = this;
    this.#headBegun = false;
    const exchange = new Exchange(this, serving.requestHead);
    this.#exchange = exchange;
    serving.stats.requestsInFlight++;
    const taken = exchange.begin(serving.requestHead, bytes, bodyAt);
    if (taken < bytes.length) this.#keep(bytes, taken);
    if (this.#ended) exchange.onClientEnd();
  }

  get #maxHeadBytes(): number {
    return this.serving.plan.settings.maxHeadBytes ?? this.serving.limits.maxHeadBytes;
  }

  /** The head is not complete. What can be refused already is, so that a bad client is told rather than timed out. */
  #waitForHead(bytes: Buffer, from: number, tooLarge: boolean): void {
    // Its end may have begun: a head is as long as it is, however it is cut into reads.
    const most = from + this.#maxHeadBytes + HEAD_END.length;
    if (hasBareLf(bytes, from, most)) {
      this.#refuse("bad_request", "bare LF");
      return;
    }
    if (tooLarge || bytes.length >= most) {
      this.#refuse("head_too_large", `more than ${this.#maxHeadBytes} bytes`);
      return;
    }
    if (bytes.length > from && !this.#headBegun) {
      this.#headBegun = true;
      this.deadline = turnTime() + this.serving.limits.headTimeoutMs;
    }
    this.#pending = bytes;
    if (this.#ended) this.#closeGently();
  }

  /** Answers what never became a request, and closes: where one message ends and the next begins is not known. */
  #refuse(reason: FailureReason, cause: string): void {
    const { serving, accepted } = this;
    const failure = failureResponse({
      reason,
      cause,
      route: null,
      upstream: null,
      serverName: serving.plan.settings.serverName,
      close: true,
      isHead: false,
    });
    this.write(failure.bytes);
    recordRefusal(failure, accepted, serving);
    this.#closeGently();
  }

  /** RFC 9112 §9.6: half-close, then read on for a moment, or a reset could take back what was just written. */
  #closeGently(): void {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    this.#pending = null;
    // A slow client has its time for what is on its way.
    this.deadline = turnTime() + this.serving.limits.bodyTimeoutMs;
    this.resume();
    this.#writer.flush();
    this.accepted.socket.end(() => {
      this.deadline = turnTime() + LINGER_MS;
    });
    if (this.#ended) this.accepted.socket.destroySoon();
  }

  #onEnd(): void {
    this.#ended = true;
    if (this.#closing) {
      this.accepted.socket.destroySoon();
    } else if (this.#exchange === null) this.#parsePending();
    else this.#exchange.onClientEnd();
  }

  #onClosed(cause: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing = true;
    this.#writer.close();
    const { serving } = this;
    serving.deadlines.leave(this);
    serving.connections.delete(this);
    serving.stats.connectionsOpen--;
    this.#exchange?.onClientClosed(cause);
    this.#exchange = null;
    this.#pending = null;
  }
}

const HEAD_END = Buffer.from("\r\n\r\n");
/** How long a closed connection is still read, in milliseconds. */
const LINGER_MS = 1000;
