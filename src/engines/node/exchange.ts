import { FAILURE_REASONS, type FailureReason } from "../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import { recordExchange } from "./access.ts";
import { admit } from "./admission.ts";
import type { AuthAnswer } from "./auth/answer.ts";
import { AuthCheck, type AuthUser } from "./auth/check.ts";
import { refusalText } from "./auth/refusal.ts";
import type { Client } from "./client.ts";
import { answerText, dispatch } from "./dispatch.ts";
import { errorBodies } from "./error-bodies.ts";
import { failureResponse } from "./failures.ts";
import { FIELD } from "./http1/fields.ts";
import { firstValue } from "./http1/forward.ts";
import type { RequestHead } from "./http1/request-head.ts";
import type { Gathered } from "./gathered.ts";
import type { Plan } from "./plan.ts";
import { requestId } from "./request-id.ts";
import { ResponseRelay } from "./response-relay.ts";
import { turnTime } from "./turn.ts";
import { UpstreamCall } from "./upstream-call.ts";

/**
 * One request and its response: chooses the route, takes an upstream connection, and passes both bodies on as they come,
 * each side held back while the other cannot take more.
 */
export class Exchange extends UpstreamCall implements AuthUser {
  readonly connection: Client;
  readonly plan: Plan;
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly requestId: string;
  readonly startedAt: number = turnTime();
  readonly response: ResponseRelay;
  routeName: string | null = null;
  readonly #clientCloses: boolean;
  /** The question to the AuthService that everything waits for. */
  #check: AuthCheck | null = null;
  #done = false;

  constructor(connection: Client, head: RequestHead) {
    super();
    this.connection = connection;
    this.plan = connection.serving.plan;
    this.method = head.method;
    this.target = head.target;
    this.host = head.host;
    this.#clientCloses = head.close;
    this.response = new ResponseRelay(connection, head);
    const sent = this.plan.settings.preserveRequestId ? firstValue(head.fields, FIELD.requestId) : "";
    this.requestId = sent === "" ? requestId() : sent;
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
    this.response.errors = errorBodies(this.plan.settings.errorResponses, head);
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
      this.#answer(301, `location: ${admitted.location}\r\n`);
      return bodyAt;
    }
    if (admitted.kind === "probe") {
      this.#answer(admitted.status, "");
      return bodyAt;
    }
    this.response.errors = errorBodies(admitted.route.errorResponses, head);
    const found = dispatch(head, this.connection.accepted, this.plan, admitted, this.requestId);
    this.routeName = found.name;
    if (found.kind === "fail") {
      this.fail(found.reason, found.cause);
      return bodyAt;
    }
    if (found.kind === "answer") {
      this.#answer(found.status, found.lines);
      return bodyAt;
    }
    const { question } = found;
    if (question !== null) {
      this.#check = new AuthCheck(question, serving, this);
      this.requestBody.barred = question.authorizer.taken;
    }
    this.prepare(found, head);
    let taken = bodyAt;
    if (this.wantsBody && bytes.length > bodyAt) {
      taken = this.onClientBody(bytes, bodyAt);
      if (this.#done) return taken;
    }
    if (question === null) this.setOut(found.head);
    else if (this.#check?.collect(this.held, this.requestBody.done) === true && head.expectsContinue)
      this.connection.write("HTTP/1.1 100 Continue\r\n\r\n");
    if (this.#check !== null && !this.#done) this.restartDeadline();
    return taken;
  }

  onAllowed(head: string): void {
    this.setOut(head);
  }

  onRefused(answer: AuthAnswer): void {
    const { serverName } = this.plan.settings;
    const client = { serverName, close: !this.#mayKeepAlive, isHead: this.method === "HEAD" };
    const { text, bodyBytes } = refusalText(answer, client, this.response.errors);
    this.response.body.bytes = bodyBytes;
    this.#say(answer.status, text);
  }

  /** Takes the body's part of `bytes[from…]`; returns where that ends. */
  onClientBody(bytes: Buffer, from: number): number {
    if (this.tunnel) {
      if (this.upstream?.writeBytes(from === 0 ? bytes : bytes.subarray(from)) === false)
        this.connection.pause();
      this.restartDeadline();
      return bytes.length;
    }
    const end = this.requestBody.read(bytes, from);
    if (end === -1) {
      this.fail("bad_request", "malformed chunked body");
      return bytes.length;
    }
    const { maxBodyBytes = Number.POSITIVE_INFINITY } = this.plan.settings;
    if (this.requestBody.bytes > maxBodyBytes) {
      this.fail("body_too_large", `more than ${maxBodyBytes} bytes`);
      return bytes.length;
    }
    const { forwardEnd, done, tail } = this.requestBody;
    let piece = bytes.subarray(from, forwardEnd);
    if (done && tail !== "") piece = Buffer.concat([piece, Buffer.from(tail, "latin1")]);
    this.passOn(piece, done);
    if (this.#check?.collect(this.held, done) === true) this.connection.resume();
    if (this.#done) return end;
    this.restartDeadline();
    return end;
  }

  onClientDrain(): void {
    this.timeouts?.touch(turnTime());
    this.upstream?.resume();
  }

  onUpstreamData(chunk: Buffer): void {
    this.timeouts?.touch(turnTime());
    if (this.tunnel) {
      this.restartDeadline();
      if (!this.connection.writeBytes(chunk)) this.upstream?.pause();
      return;
    }
    const outcome = this.response.take(chunk, !this.#mayKeepAlive);
    this.status = this.response.status;
    if (outcome === "more") {
      // For its last bytes a connection is not held: it may serve others while they wait for this client.
      if (!this.response.flowing && !this.response.body.endsWithin(LAST_BYTES)) this.upstream?.pause();
    } else if (outcome === "complete") this.complete();
    else if (outcome === "switched") {
      this.tunnel = true;
      this.restartDeadline();
      this.connection.becomeTunnel();
    } else if (outcome === "refused") this.tryAgainAfterAnswer();
    else this.failAfterTries("upstream_invalid_response", outcome.problem);
  }

  landing(readSize: number): Gathered | null {
    return !this.tunnel && this.response.passes ? this.connection.lend(readSize) : null;
  }

  onClientEnd(): void {
    if (this.tunnel) this.finish(false, null, "");
    else if (this.wantsBody) this.fail("client_disconnected", "the client ended its body early");
  }

  onClientClosed(cause: string): void {
    if (this.#done) return;
    if (this.tunnel) {
      // Cut, not ended: the upstream must not take a part for the whole.
      this.upstream?.destroy();
      this.finish(false, null, "");
    } else {
      this.status = FAILURE_REASONS.client_disconnected;
      this.finish(false, "client_disconnected", cause);
    }
  }

  onDeadline(): void {
    const over = this.timeouts?.check(performance.now(), this.response.begun) ?? "phase";
    if (typeof over === "number") this.connection.deadline = over;
    else if (this.tunnel) this.finish(false, null, "");
    else if (over === "silence")
      this.fail("upstream_response_timeout", `no byte either way within ${this.timeouts?.idleMs} ms`);
    else if (this.wantsBody && !this.response.begun) {
      if (this.upstream?.full === true)
        this.fail("upstream_response_timeout", "the upstream takes no more of the request body");
      else this.fail("request_timeout", "the request body stalled");
    } else if (over === "phase")
      this.fail("upstream_response_timeout", `no complete response within ${this.timeoutMs} ms`);
    else this.failAfterTries("upstream_response_timeout", "no response within per_try_timeout");
  }

  /** Answers in the upstream's place; once its head has gone out, all that is left is to cut the connection. */
  fail(reason: FailureReason, cause: string, status?: number, handshake?: HandshakeReason): void {
    if (this.#done) return;
    if (handshake !== undefined) this.handshake = handshake;
    if (this.response.abandon()) {
      this.complete();
      return;
    }
    if (this.response.begun) {
      this.finish(false, reason, cause);
      this.connection.destroy();
      return;
    }
    const keepAlive = this.#mayKeepAlive && reason !== "bad_request";
    const response = failureResponse({
      reason,
      cause,
      handshake: this.handshake,
      route: this.routeName,
      upstream: this.upstreamAddress,
      serverName: this.plan.settings.serverName,
      close: !keepAlive,
      isHead: this.method === "HEAD",
      status,
      bodies: this.response.errors,
    });
    this.status = response.status;
    this.response.body.bytes = response.bodyBytes;
    this.connection.write(response.bytes);
    this.connection.serving.onFailure(response.record);
    this.finish(keepAlive, reason, cause, response.record.id);
  }

  /** A body that is still coming when the answer is known may never end: the connection ends with this response. */
  get #mayKeepAlive(): boolean {
    return this.requestBody.done && !this.#clientCloses && !this.connection.isLast;
  }

  protected complete(): void {
    this.finish(!this.response.closesClient && this.requestBody.done, null, "");
  }

  #answer(status: number, lines: string): void {
    this.#say(status, answerText(status, lines, this.plan.settings.serverName, !this.#mayKeepAlive));
  }

  #say(status: number, text: string): void {
    const keepAlive = this.#mayKeepAlive;
    this.status = status;
    this.connection.write(text);
    this.finish(keepAlive, null, "");
  }

  protected restartDeadline(): void {
    const { connection, timeouts } = this;
    const { limits } = connection.serving;
    const now = turnTime();
    let ends = Number.POSITIVE_INFINITY;
    if (this.tunnel) {
      if (timeouts?.boundsTunnels !== true) ends = now + limits.tunnelIdleMs;
    } else if (this.#check?.asking === true) {
      // It has a timeout of its own.
    } else if (this.wantsBody) ends = now + limits.bodyTimeoutMs;
    else {
      if (this.timeoutMs !== 0) ends = now + this.timeoutMs;
      if (timeouts !== null) {
        timeouts.endsAt ??= ends;
        ends = Math.min(timeouts.endsAt, timeouts.tryEndsAt);
      }
    }
    connection.deadline = timeouts === null ? ends : timeouts.restart(now, ends);
  }

  protected finish(
    keepAlive: boolean,
    failure: FailureReason | null,
    cause: string,
    failureId: string | null = null,
  ): void {
    if (this.#done) return;
    this.#done = true;
    const { connection } = this;
    this.#check?.cancel();
    recordExchange(this, failure, cause, failureId);
    this.letGo(failure);
    connection.serving.stats.requestsInFlight--;
    connection.onExchangeDone(keepAlive);
  }
}

/** 64 KiB, as much as is read at once. */
const LAST_BYTES = 65_536;
