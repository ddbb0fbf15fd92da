import type { FailureReason } from "../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import { affinityOf, withLine } from "./affinity.ts";
import type { Client } from "./client.ts";
import type { Dispatch } from "./dispatch.ts";
import { BodyReader } from "./http1/body.ts";
import type { RequestHead } from "./http1/request-head.ts";
import { PendingCopy } from "./mirror.ts";
import type { Plan } from "./plan.ts";
import type { ResponseRelay } from "./response-relay.ts";
import { Retry } from "./retry.ts";
import { Timeouts } from "./timeouts.ts";
import { turnTime } from "./turn.ts";
import type { UpstreamFailure } from "./upstream/classify.ts";
import type { UpstreamCluster } from "./upstream/cluster.ts";
import { CLEAN_END, type UpstreamConnection, type UpstreamUser } from "./upstream/connection.ts";
import type { UpstreamHost } from "./upstream/host.ts";
import { ANY_HOST, type Choice } from "./upstream/hosts.ts";

/** The way of one request to its upstream: on which connection, what waits for it, and once more where that may be. */
export abstract class UpstreamCall implements UpstreamUser {
  abstract readonly connection: Client;
  /** The revision the request began under serves it to its end. */
  abstract readonly plan: Plan;
  abstract readonly method: string;
  abstract readonly response: ResponseRelay;
  abstract readonly wantsBody: boolean;
  readonly requestBody: BodyReader = new BodyReader();
  /** What was answered; 0 while nothing was. */
  status = 0;
  upstreamAddress: string | null = null;
  /** Why the last connection came to nothing, where it is a matter of its handshake. */
  handshake: HandshakeReason | null = null;
  upstream: UpstreamConnection | null = null;
  protected timeoutMs = 0;
  /** Null: `timeoutMs` is all there is. */
  protected timeouts: Timeouts | null = null;
  protected tunnel = false;
  #cluster: UpstreamCluster | null = null;
  #choice: Choice = ANY_HOST;
  /** That of this try, once it has a connection. */
  #host: UpstreamHost | null = null;
  #underWay = false;
  /** Kept for retries. */
  #head = "";
  /** Body that came before the upstream connection was ready. */
  #held: Buffer | null = null;
  #retry: Retry | null = null;
  #mirror: PendingCopy | null = null;
  /** A pooled connection was stale, and has been replaced. */
  #replaced = false;

  abstract onUpstreamData(chunk: Buffer): void;
  protected abstract fail(reason: FailureReason, cause: string): void;
  protected abstract finish(keepAlive: boolean, failure: FailureReason | null, cause: string): void;
  protected abstract complete(): void;
  protected abstract restartDeadline(): void;

  /** Takes over what the route says of the way there and back. */
  protected prepare(found: Extract<Dispatch, { kind: "forward" }>, head: RequestHead): void {
    const { cluster, action, mirror } = found;
    this.#cluster = cluster;
    this.timeoutMs = action.timeoutMs;
    this.response.edit = found.editResponse;
    const { priority = "default", retry: policy, idleTimeoutMs } = action;
    if (action.hash !== undefined) {
      const { remoteAddress } = this.connection.accepted;
      const { hash, setCookie } = affinityOf(action.hash, head.fields, remoteAddress);
      this.#choice = { ...ANY_HOST, priority, hash };
      if (setCookie !== "") this.response.edit = withLine(found.editResponse, setCookie);
    } else if (priority === "high") this.#choice = { ...ANY_HOST, priority };
    if (policy !== undefined || idleTimeoutMs !== undefined) this.timeouts = new Timeouts(idleTimeoutMs);
    if (policy !== undefined) {
      const retry = new Retry(policy, cluster.breaker(priority));
      this.#retry = retry;
      this.response.refuses = (status) => retry.wantsStatus(status) && this.#mayTryAgain(retry);
    }
    if (mirror !== undefined) this.#mirror = PendingCopy.of(mirror, head, this.plan, this.connection.serving);
  }

  /** Body that came, and has not gone on. */
  protected get held(): Buffer | null {
    return this.#held;
  }

  /** Sets out with `head`, once `prepare` is done, the body that came with the head is taken, and nobody need be asked. */
  protected setOut(head: string): void {
    this.#head = head;
    this.#underWay = true;
    if (this.requestBody.done) this.#sendMirror();
    if (this.timeouts !== null && this.#retry !== null)
      this.timeouts.tryEndsAt = turnTime() + this.#retry.perTryTimeoutMs;
    this.restartDeadline();
    this.#cluster?.acquire(this, false, this.#choice);
  }

  /** A piece of the request's body, the last one where `done`. */
  protected passOn(piece: Buffer, done: boolean): void {
    this.#retry?.body.add(piece);
    this.#mirror?.body.add(piece);
    if (this.upstream === null) {
      this.#held = this.#held === null ? piece : Buffer.concat([this.#held, piece]);
      if (!done) this.connection.pause();
    } else if (piece.length > 0 && !this.upstream.writeBytes(piece) && !done) this.connection.pause();
    if (done && this.#underWay) this.#sendMirror();
  }

  onUpstreamReady(upstream: UpstreamConnection): void {
    this.upstream = upstream;
    this.upstreamAddress = upstream.address;
    this.handshake = null;
    this.#host = upstream.host;
    const held = this.#held;
    this.#held = null;
    if (upstream.writeMessage(this.#head, held) && this.wantsBody) this.connection.resume();
  }

  onUpstreamFailed({ reason, cause, handshake }: UpstreamFailure, address: string | null): void {
    this.upstreamAddress = address;
    this.handshake = handshake ?? null;
    if (this.#tryAgainAfter(reason, false)) return;
    this.#cluster = null;
    this.fail(reason, cause);
  }

  onUpstreamDrain(): void {
    this.timeouts?.touch(turnTime());
    if (this.wantsBody || this.tunnel) this.connection.resume();
  }

  onUpstreamClosed({ reason, cause, handshake }: UpstreamFailure): void {
    const { upstream } = this;
    this.handshake = handshake ?? null;
    this.upstream = null;
    if (this.tunnel) {
      this.finish(false, null, "");
    } else if (cause === CLEAN_END && this.response.end()) {
      this.complete();
    } else if (upstream !== null && this.#mayReplace(upstream)) {
      this.#replaced = true;
      if (upstream.unsent.length > this.#head.length)
        this.#held = Buffer.from(upstream.unsent.slice(this.#head.length), "latin1");
      this.connection.serving.stats.upstreamRetries++;
      this.#cluster?.acquire(this, true, this.#choice);
    } else this.failAfterTries(reason, cause);
  }

  /** Of a request that was sent, unless it is said once more. */
  protected failAfterTries(reason: FailureReason, cause: string): void {
    if (this.response.saidTls) this.handshake = "tls_peer";
    if (!this.#tryAgainAfter(reason, true)) this.fail(reason, cause);
  }

  /** Says the request once more where the route's retry policy asks for it after such a failure. False: it stands. */
  #tryAgainAfter(reason: FailureReason, sent: boolean): boolean {
    const retry = this.#retry;
    if (retry === null || !retry.wantsFailure(reason, sent) || !this.#mayTryAgain(retry)) return false;
    this.#report(reason);
    if (this.handshake !== null) this.connection.serving.onTryFailed?.(this.handshake);
    this.#tryAgain(retry, sent);
    return true;
  }

  /** The same after a response that the relay has refused. */
  protected tryAgainAfterAnswer(): void {
    const { upstream, response } = this;
    this.#report(null);
    if (response.upstreamReusable && this.requestBody.done) {
      this.upstream = null;
      upstream?.release(response.keepAliveSeconds);
    }
    this.#tryAgain(this.#retry as Retry, false);
  }

  #tryAgain(retry: Retry, fresh: boolean): void {
    const { upstream, timeouts } = this;
    this.upstream = null;
    if (upstream === null) this.#cluster?.cancel(this);
    else upstream.destroy();
    this.response.forget();
    this.status = 0;
    this.#held = retry.body.bytes();
    this.#choice = { ...this.#choice, avoid: this.upstreamAddress };
    this.connection.serving.stats.upstreamRetries++;
    if (timeouts !== null) timeouts.tryEndsAt = Number.POSITIVE_INFINITY;
    this.restartDeadline();
    retry.schedule(() => {
      if (timeouts !== null) timeouts.tryEndsAt = turnTime() + retry.perTryTimeoutMs;
      this.restartDeadline();
      this.#cluster?.acquire(this, fresh, this.#choice);
    });
  }

  /** The exchange is over: the connection serves the next one, or none. */
  protected letGo(failure: FailureReason | null): void {
    const { upstream, response } = this;
    this.#retry?.end();
    this.#report(failure);
    if (upstream === null) this.#cluster?.cancel(this);
    else if (failure === null && response.upstreamReusable && !this.tunnel && this.requestBody.done) {
      upstream.release(response.keepAliveSeconds);
    } else if (failure === null && this.tunnel) upstream.end();
    else upstream.destroy();
    this.upstream = null;
  }

  /**
   * Design §9: a pooled connection that closes as we write, and a request that may be said twice (RFC 9110 §9.2.2), or was
   * not said at all.
   */
  #mayReplace(upstream: UpstreamConnection): boolean {
    if (this.#replaced || !this.response.untouched || upstream.served === 0) return false;
    if (upstream.unsent !== "") return true;
    return this.requestBody.done && this.requestBody.bytes === 0 && IDEMPOTENT.has(this.method);
  }

  /** A written retry policy asks for it whatever the method, as in 1.14. */
  #mayTryAgain(retry: Retry): boolean {
    return this.response.unsent && !this.tunnel && retry.begin();
  }

  #sendMirror(): void {
    this.#mirror?.send(this.#head);
    this.#mirror = null;
  }

  /** Tells how this try went, once. */
  #report(failure: FailureReason | null): void {
    const host = this.#host;
    this.#host = null;
    const outliers = this.#cluster?.outliers ?? null;
    if (host === null || outliers === null) return;
    if (failure?.startsWith("upstream_") === true) outliers.onFailure(host);
    else if (failure === null && this.response.status !== 0) outliers.onStatus(host, this.response.status);
  }
}

const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);
