import type { FailureReason } from "../../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import type { Timed } from "../deadlines.ts";
import { contentOf } from "../http1/content.ts";
import type { Serving } from "../serving.ts";
import type { UpstreamFailure } from "../upstream/classify.ts";
import { CLEAN_END, type UpstreamConnection, type UpstreamUser } from "../upstream/connection.ts";
import { AnswerReader, type AuthAnswer } from "./answer.ts";
import type { AuthQuestion } from "./authorizer.ts";

/** What the exchange whose request is asked about learns; exactly one of these, and once, unless it cancels. */
export interface AuthUser {
  /** `head` goes upstream. */
  onAllowed(head: string): void;
  onRefused(answer: AuthAnswer): void;
  /** The service could not be asked, or a body may not be shown to it. `status` is the one to answer with. */
  fail(reason: FailureReason, cause: string, status?: number, handshake?: HandshakeReason): void;
}

/** One question to an authorization service: collects as much of the body as it may see, asks, and reads the answer. */
export class AuthCheck implements UpstreamUser, Timed {
  deadline: number = Number.POSITIVE_INFINITY;
  readonly #question: AuthQuestion;
  readonly #serving: Serving;
  readonly #user: AuthUser;
  #state: "collecting" | "asking" | "over" = "collecting";
  #body: Buffer | null = null;
  #reader: AnswerReader;
  #connection: UpstreamConnection | null = null;
  #retried = false;

  constructor(question: AuthQuestion, serving: Serving, user: AuthUser) {
    this.#question = question;
    this.#serving = serving;
    this.#user = user;
    this.#reader = new AnswerReader(question.authorizer, question.isHead);
  }

  get asking(): boolean {
    return this.#state === "asking";
  }

  /**
   * `held` is what has come of the client's body, in its framing, and `done` whether that is all. Asks as soon as it is
   * enough; true: more of it is needed first.
   */
  collect(held: Buffer | null, done: boolean): boolean {
    if (this.#state !== "collecting") return false;
    const { needsBody, chunked, authorizer } = this.#question;
    const { body } = authorizer.settings;
    if (!needsBody || body === undefined) {
      this.#ask();
      return false;
    }
    // A body's content is never longer than its framing.
    if (!done && (held === null || held.length < body.maxBytes)) return true;
    const content = held === null ? EMPTY : contentOf(held, chunked);
    if (authorizer.tooLarge(content.length)) {
      const cause = `more than the ${body.maxBytes} bytes that the AuthService may be shown`;
      this.#end(null)?.fail("body_too_large", cause);
      return false;
    }
    const enough = body.allowPartial && content.length >= body.maxBytes;
    if (!done && !enough) return true;
    this.#body = content.subarray(0, body.maxBytes);
    this.#ask();
    return false;
  }

  /** Nobody waits for the answer any more. */
  cancel(): void {
    this.#end(null);
  }

  onUpstreamReady(connection: UpstreamConnection): void {
    this.#connection = connection;
    const body = this.#body ?? EMPTY;
    connection.writeMessage(`${this.#question.head}content-length: ${body.length}\r\n\r\n`, body);
  }

  onUpstreamFailed(failure: UpstreamFailure, address: string | null): void {
    const { cause } = failure;
    this.#fail({ ...failure, cause: address === null ? cause : `${cause} (${address})` });
  }

  onUpstreamDrain(): void {}

  onUpstreamData(chunk: Buffer): void {
    const { responseHead, limits } = this.#serving;
    const outcome = this.#reader.take(chunk, responseHead, limits.maxHeadBytes);
    if (outcome === null) return;
    if (typeof outcome === "string") this.#fail({ reason: "upstream_invalid_response", cause: outcome });
    else this.#decide(outcome);
  }

  onUpstreamClosed(failure: UpstreamFailure): void {
    const connection = this.#connection;
    this.#connection = null;
    const answer = failure.cause === CLEAN_END ? this.#reader.end() : null;
    if (answer !== null) this.#decide(answer);
    // A pooled connection that closes as we write. A question may be asked twice whatever the method of what it is about.
    else if (this.#reader.untouched && !this.#retried && connection !== null && connection.served > 0) {
      this.#retried = true;
      this.#question.cluster.acquire(this, true);
    } else this.#fail(failure);
  }

  onDeadline(): void {
    const { timeoutMs } = this.#question.authorizer.settings;
    this.#fail({ reason: "upstream_response_timeout", cause: `no complete answer within ${timeoutMs} ms` });
  }

  #ask(): void {
    this.#state = "asking";
    this.deadline = performance.now() + this.#question.authorizer.settings.timeoutMs;
    this.#serving.deadlines.join(this);
    this.#question.cluster.acquire(this, false);
  }

  /** As Envoy does: 200 allows, 5xx is no answer, and whatever else refuses. */
  #decide(answer: AuthAnswer): void {
    if (answer.status >= 500) {
      this.#fail({ reason: "upstream_invalid_response", cause: `it answered ${answer.status}` });
      return;
    }
    const user = this.#end(this.#reader);
    if (answer.status === 200) user?.onAllowed(this.#question.allow(answer.lines));
    else user?.onRefused(answer);
  }

  #fail({ reason, cause, handshake }: UpstreamFailure): void {
    const { settings } = this.#question.authorizer;
    const user = this.#end(null);
    if (user === null) return;
    // Whoever names a TLS context is never without it, and neither is the question (design §4.1).
    if (reason === "credential_unavailable")
      user.fail(reason, `${this.#question.service.name}: ${cause}`, undefined, handshake);
    else if (settings.allowOnError === true) user.onAllowed(this.#question.allow([]));
    else {
      const detail = `${this.#question.service.name}: ${reason}: ${cause}`;
      user.fail("authorization_unavailable", detail, settings.statusOnError, handshake);
    }
  }

  /** Gives the connection back, where `reader` says that it may be used again. The user, once. */
  #end(reader: AnswerReader | null): AuthUser | null {
    if (this.#state === "over") return null;
    if (this.#state === "asking") this.#serving.deadlines.leave(this);
    this.#state = "over";
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) this.#question.cluster.cancel(this);
    else if (reader?.reusable === true) connection.release(reader.keepAliveSeconds);
    else connection.destroy();
    return this.#user;
  }
}

const EMPTY = Buffer.alloc(0);
