import { randomUUID } from "node:crypto";
import { FAILURE_REASONS, type FailureReason } from "../../diagnostics/failure.ts";
import { recordExchange } from "./access.ts";
import { admit, choose } from "./admission.ts";
import type { ClientConnection } from "./client-connection.ts";
import { failureResponse } from "./failures.ts";
import { BodyReader } from "./http1/body.ts";
import { FIELD } from "./http1/fields.ts";
import { clientHead, firstValue, upstreamHead } from "./http1/forward.ts";
import type { RequestHead } from "./http1/request-head.ts";
import type { ResponseHead } from "./http1/response-head.ts";
import type { Plan } from "./plan.ts";
import type { UpstreamCluster } from "./upstream/cluster.ts";
import type { UpstreamConnection, UpstreamUser } from "./upstream/connection.ts";

/**
 * One request and its response: chooses the route, takes an upstream connection, and passes both bodies on as they come,
 * each side held back while the other cannot take more.
 */
export class Exchange implements UpstreamUser {
  readonly connection: ClientConnection;
  /** The revision the request began under serves it to its end. */
  readonly plan: Plan;
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly requestId: string;
  readonly startedAt: number = performance.now();
  readonly requestBody: BodyReader = new BodyReader();
  readonly responseBody: BodyReader = new BodyReader();
  routeName: string | null = null;
  status = 0;
  upstreamAddress: string | null = null;
  upstream: UpstreamConnection | null = null;
  firstByteAt = 0;

  readonly #clientCloses: boolean;
  readonly #expectsContinue: boolean;
  readonly #upgrade: boolean;
  #cluster: UpstreamCluster | null = null;
  #timeoutMs = 0;
  /** Kept for the one retry. */
  #head = "";
  /** Body that came before the upstream connection was ready. */
  #held: Buffer | null = null;
  #partialHead: Buffer | null = null;
  #responseBegun = false;
  #closeClient = false;
  #upstreamReusable = true;
  #keepAliveSeconds: number | null = null;
  #tunnel = false;
  #retried = false;
  #done = false;

  constructor(connection: ClientConnection, head: RequestHead) {
    this.connection = connection;
    this.plan = connection.serving.plan;
    this.method = head.method;
    this.target = head.target;
    this.host = head.host;
    this.#clientCloses = head.close;
    this.#expectsContinue = head.expectsContinue;
    this.#upgrade = head.upgrade;
    const sent = this.plan.settings.preserveRequestId ? firstValue(head.fields, FIELD.requestId) : "";
    this.requestId = sent === "" ? randomUUID() : sent;
    if (head.chunked) this.requestBody.startChunked();
    else if (head.contentLength > 0) this.requestBody.startSized(head.contentLength);
  }

  /** The client's body is not complete yet. */
  get wantsBody(): boolean {
    return !this.requestBody.done && !this.#done;
  }

  /** Starts the request; `bytes[bodyAt…]` may hold the beginning of its body. Returns how far they were taken. */
  begin(head: RequestHead, bytes: Buffer, bodyAt: number): number {
    const { serving } = this.connection;
    if (serving.stats.requestsInFlight > serving.limits.maxRequestsInFlight) {
      this.fail("overloaded", "too many requests in flight");
      return bodyAt;
    }
    const admitted = admit(head, this.connection.accepted, this.plan, serving);
    if (admitted.kind === "refuse") {
      this.fail(admitted.reason, admitted.cause);
      return bodyAt;
    }
    if (admitted.kind === "redirect") {
      this.#redirect(admitted.location);
      return bodyAt;
    }
    this.routeName = admitted.route.name;
    const { action, name } = choose(admitted.route);
    this.routeName = name;
    if (action.kind === "fail") {
      this.fail("route_fails_closed", action.code);
      return bodyAt;
    }
    const cluster = this.plan.clusters.get(action.cluster);
    if (cluster === undefined) {
      this.fail("route_fails_closed", `no cluster ${action.cluster}`);
      return bodyAt;
    }
    this.#cluster = cluster;
    this.#timeoutMs = action.timeoutMs;
    const path = admitted.rewrite(action.prefixRewrite);
    if (path === null) {
      this.fail("bad_request", "path climbs above the root once rewritten");
      return bodyAt;
    }
    this.#head = upstreamHead(head, {
      settings: this.plan.settings,
      path,
      remoteAddress: this.connection.accepted.remoteAddress,
      secure: this.connection.accepted.secure,
      requestId: this.requestId,
      hostRewrite: action.hostRewrite,
    });
    let taken = bodyAt;
    if (this.wantsBody && bytes.length > bodyAt) {
      taken = this.onClientBody(bytes, bodyAt);
      if (this.#done) return taken;
    }
    this.#restartDeadline();
    cluster.acquire(this, false);
    return taken;
  }

  /** Takes the body's part of `bytes[from…]`; returns where that ends. */
  onClientBody(bytes: Buffer, from: number): number {
    if (this.#tunnel) {
      if (this.upstream?.writeBytes(from === 0 ? bytes : bytes.subarray(from)) === false)
        this.connection.pause();
      this.#restartDeadline();
      return bytes.length;
    }
    const end = this.requestBody.read(bytes, from);
    if (end === -1) {
      this.fail("bad_request", "malformed chunked body");
      return bytes.length;
    }
    const { forwardEnd, done, tail } = this.requestBody;
    let piece = bytes.subarray(from, forwardEnd);
    if (done && tail !== "") piece = Buffer.concat([piece, Buffer.from(tail, "latin1")]);
    if (this.upstream === null) {
      this.#held = this.#held === null ? piece : Buffer.concat([this.#held, piece]);
      if (!done) this.connection.pause();
    } else if (!this.upstream.writeBytes(piece) && !done) this.connection.pause();
    this.#restartDeadline();
    return end;
  }

  onUpstreamReady(upstream: UpstreamConnection): void {
    this.upstream = upstream;
    this.upstreamAddress = upstream.address;
    const held = this.#held;
    this.#held = null;
    let flowing: boolean;
    if (held === null) flowing = upstream.write(this.#head);
    else if (held.length <= SMALL_BODY) flowing = upstream.write(this.#head + held.toString("latin1"));
    else {
      upstream.write(this.#head);
      flowing = upstream.writeBytes(held);
    }
    if (flowing && this.wantsBody) this.connection.resume();
  }

  onUpstreamFailed(reason: FailureReason, cause: string, address: string | null): void {
    this.upstreamAddress = address;
    this.#cluster = null;
    this.fail(reason, cause);
  }

  onUpstreamDrain(): void {
    if (this.wantsBody || this.#tunnel) this.connection.resume();
  }

  onClientDrain(): void {
    this.upstream?.resume();
  }

  onUpstreamData(chunk: Buffer): void {
    if (this.#tunnel) {
      this.#restartDeadline();
      if (!this.connection.writeBytes(chunk)) this.upstream?.pause();
      return;
    }
    if (this.#responseBegun) this.#passBody(chunk);
    else this.#readHead(chunk);
  }

  onUpstreamClosed(reason: FailureReason, cause: string): void {
    const { upstream } = this;
    this.upstream = null;
    if (this.#tunnel) {
      this.#finish(false, null, "");
    } else if (this.#responseBegun && this.responseBody.untilClose && cause === CLEAN_END) {
      this.connection.write("0\r\n\r\n");
      this.#finish(!this.#closeClient, null, "");
    } else if (upstream !== null && this.#mayRetry(upstream)) {
      this.#retried = true;
      this.connection.serving.stats.upstreamRetries++;
      this.#cluster?.acquire(this, true);
    } else this.fail(reason, cause);
  }

  onClientEnd(): void {
    if (this.#tunnel) this.#finish(false, null, "");
    else if (this.wantsBody) this.fail("client_disconnected", "the client ended its body early");
  }

  onClientClosed(cause: string): void {
    if (this.#done) return;
    if (this.#tunnel) this.#finish(false, null, "");
    else {
      this.status = FAILURE_REASONS.client_disconnected;
      this.#finish(false, "client_disconnected", cause);
    }
  }

  onDeadline(): void {
    if (this.#tunnel) this.#finish(false, null, "");
    else if (this.wantsBody && !this.#responseBegun) this.fail("request_timeout", "the request body stalled");
    else this.fail("upstream_response_timeout", `no complete response within ${this.#timeoutMs} ms`);
  }

  /** Answers in the upstream's place; once its head has gone out, all that is left is to cut the connection. */
  fail(reason: FailureReason, cause: string): void {
    if (this.#done) return;
    if (this.#responseBegun) {
      this.#finish(false, reason, cause);
      this.connection.destroy();
      return;
    }
    const keepAlive =
      this.requestBody.done &&
      !this.#clientCloses &&
      !this.connection.serving.draining &&
      reason !== "bad_request";
    const response = failureResponse({
      reason,
      cause,
      route: this.routeName,
      upstream: this.upstreamAddress,
      serverName: this.plan.settings.serverName,
      close: !keepAlive,
      isHead: this.method === "HEAD",
    });
    this.status = response.status;
    this.responseBody.bytes = response.bodyBytes;
    this.connection.write(response.bytes);
    this.connection.serving.onFailure(response.record);
    this.#finish(keepAlive, reason, cause, response.record.id);
  }

  #readHead(chunk: Buffer): void {
    const { serving } = this.connection;
    const bytes = this.#partialHead === null ? chunk : Buffer.concat([this.#partialHead, chunk]);
    this.#partialHead = null;
    let from = 0;
    for (;;) {
      const blank = bytes.indexOf(HEAD_END, from);
      if (blank === -1 || blank - from > serving.limits.maxHeadBytes) {
        if (blank !== -1 || bytes.length - from > serving.limits.maxHeadBytes) {
          this.fail("upstream_invalid_response", "response head too large");
        } else if (bytes.length > from) this.#partialHead = from === 0 ? bytes : bytes.subarray(from);
        return;
      }
      const head = serving.responseHead;
      const problem = head.parse(bytes, from, blank + 2);
      if (problem !== null) {
        this.fail("upstream_invalid_response", problem);
        return;
      }
      from = blank + 4;
      if (this.firstByteAt === 0) this.firstByteAt = performance.now();
      if (head.status >= 200) {
        this.#beginResponse(head, bytes, from);
        return;
      }
      if (head.status === 101) {
        this.#switchProtocols(head, bytes, from);
        return;
      }
      // RFC 9110 §15.2: interim responses go on, but a 100 only to a client that waits for it.
      if (head.status !== 100 || this.#expectsContinue)
        this.connection.write(clientHead(head, "", "", false));
    }
  }

  #switchProtocols(head: ResponseHead, bytes: Buffer, from: number): void {
    if (!this.#upgrade) {
      this.fail("upstream_invalid_response", "101 to a request without Upgrade");
      return;
    }
    this.status = 101;
    this.#tunnel = true;
    this.#responseBegun = true;
    this.connection.write(clientHead(head, "", "", false));
    if (bytes.length > from) this.connection.writeBytes(bytes.subarray(from));
    this.#restartDeadline();
    this.connection.becomeTunnel();
  }

  #beginResponse(head: ResponseHead, bytes: Buffer, from: number): void {
    const { responseBody } = this;
    this.status = head.status;
    let framing = "";
    if (this.method === "HEAD" || head.status === 204 || head.status === 304) responseBody.startNone();
    else if (head.chunked) responseBody.startChunked();
    else if (head.contentLength !== -1) responseBody.startSized(head.contentLength);
    else {
      responseBody.startUntilClose();
      framing = "transfer-encoding: chunked\r\n";
    }
    this.#keepAliveSeconds = head.keepAliveSeconds;
    this.#upstreamReusable = !head.close && !responseBody.untilClose;
    // A body that is still coming when the answer is known may never end: the connection ends with this response.
    this.#closeClient = this.#clientCloses || this.connection.serving.draining || !this.requestBody.done;
    const text = clientHead(head, this.plan.settings.serverName, framing, this.#closeClient);
    this.#responseBegun = true;

    const end = responseBody.read(bytes, from);
    if (end === -1) {
      this.#responseBegun = false;
      this.fail("upstream_invalid_response", "malformed chunked body");
      return;
    }
    const { forwardEnd } = responseBody;
    if (end < bytes.length) this.#upstreamReusable = false;
    if (responseBody.done && forwardEnd - from <= SMALL_BODY) {
      this.connection.write(text + bytes.toString("latin1", from, forwardEnd) + responseBody.tail);
      this.#complete();
      return;
    }
    let flowing = this.connection.write(text);
    if (forwardEnd > from) flowing = this.#writeBody(bytes, from, forwardEnd);
    if (responseBody.done) this.#endBody();
    else if (!flowing) this.upstream?.pause();
  }

  #passBody(chunk: Buffer): void {
    const { responseBody } = this;
    const end = responseBody.read(chunk, 0);
    if (end === -1) {
      this.fail("upstream_invalid_response", "malformed chunked body");
      return;
    }
    if (end < chunk.length) this.#upstreamReusable = false;
    const flowing = this.#writeBody(chunk, 0, responseBody.forwardEnd);
    if (responseBody.done) this.#endBody();
    else if (!flowing) this.upstream?.pause();
  }

  #writeBody(bytes: Buffer, from: number, to: number): boolean {
    if (to === from) return true;
    const piece = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    if (!this.responseBody.untilClose) return this.connection.writeBytes(piece);
    this.connection.write(`${piece.length.toString(16)}\r\n`);
    this.connection.writeBytes(piece);
    return this.connection.write("\r\n");
  }

  #endBody(): void {
    if (this.responseBody.tail !== "") this.connection.write(this.responseBody.tail);
    this.#complete();
  }

  #complete(): void {
    this.#finish(!this.#closeClient && this.requestBody.done, null, "");
  }

  /** Design §9: a pooled connection that closes as we write, and a request that may be said twice (RFC 9110 §9.2.2). */
  #mayRetry(upstream: UpstreamConnection): boolean {
    return (
      !this.#retried &&
      !this.#responseBegun &&
      this.#partialHead === null &&
      upstream.served > 0 &&
      this.requestBody.done &&
      this.requestBody.bytes === 0 &&
      IDEMPOTENT.has(this.method)
    );
  }

  #redirect(location: string): void {
    const keepAlive = this.requestBody.done && !this.#clientCloses && !this.connection.serving.draining;
    this.status = 301;
    this.connection.write(
      `HTTP/1.1 301 Moved Permanently\r\nserver: ${this.plan.settings.serverName}\r\ndate: ${new Date().toUTCString()}\r\n` +
        `location: ${location}\r\ncontent-length: 0\r\n${keepAlive ? "" : "connection: close\r\n"}\r\n`,
    );
    this.#finish(keepAlive, null, "");
  }

  #restartDeadline(): void {
    const { limits } = this.connection.serving;
    const now = performance.now();
    if (this.#tunnel) this.connection.deadline = now + limits.tunnelIdleMs;
    else if (this.wantsBody) this.connection.deadline = now + limits.bodyTimeoutMs;
    else this.connection.deadline = this.#timeoutMs === 0 ? Number.POSITIVE_INFINITY : now + this.#timeoutMs;
  }

  #finish(
    keepAlive: boolean,
    failure: FailureReason | null,
    cause: string,
    failureId: string | null = null,
  ): void {
    if (this.#done) return;
    this.#done = true;
    const { upstream, connection } = this;
    recordExchange(this, failure, cause, failureId);
    if (upstream === null) this.#cluster?.cancel(this);
    else if (failure === null && this.#upstreamReusable && !this.#tunnel && this.requestBody.done) {
      upstream.release(this.#keepAliveSeconds);
    } else upstream.destroy();
    this.upstream = null;
    connection.serving.stats.requestsInFlight--;
    connection.onExchangeDone(keepAlive);
  }
}

const HEAD_END = Buffer.from("\r\n\r\n");
/** Up to this many bytes a body goes out in one write with its head; more is passed on uncopied. */
const SMALL_BODY = 16_384;
/** What UpstreamConnection reports for an orderly end (FIN, or close_notify with TLS). */
const CLEAN_END = "closed by the upstream";
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);
