import type { FailureReason } from "../../diagnostics/failure.ts";
import type { RetryPolicy } from "../../model/route.ts";
import { BodyCopy } from "./body-copy.ts";
import type { Breaker } from "./upstream/breaker.ts";

/** One request's retries, as its route's `retry_policy` has them: what is worth another try, how many, and how soon. */
export class Retry {
  /** Infinity: what is left of the request's timeout. */
  readonly perTryTimeoutMs: number;
  /** What must be said once more. */
  readonly body: BodyCopy = new BodyCopy();
  readonly #policy: RetryPolicy;
  readonly #breaker: Breaker;
  #begun = 0;
  /** A retry of ours counts in the breaker. */
  #counted = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(policy: RetryPolicy, breaker: Breaker) {
    this.#policy = policy;
    this.#breaker = breaker;
    this.perTryTimeoutMs = policy.perTryTimeoutMs ?? Number.POSITIVE_INFINITY;
  }

  /** Whether a response with this status is worth another try. */
  wantsStatus(status: number): boolean {
    switch (this.#policy.on) {
      case "5xx":
        return status >= 500;
      case "gateway-error":
        return status >= 502 && status <= 504;
      case "retriable-4xx":
        return status === 409;
      // The rest has no meaning in HTTP/1.1, or no codes that could be configured.
      default:
        return false;
    }
  }

  /** The same of a failure; `sent`: it came after the request had gone out on a connection. */
  wantsFailure(reason: FailureReason, sent: boolean): boolean {
    if (!reason.startsWith("upstream_") && reason !== "client_certificate_refused") return false;
    // Neither gets better within milliseconds; Envoy, too, leaves a cluster without hosts alone.
    if (reason === "upstream_dns_failure") return false;
    const { on } = this.#policy;
    return on === "5xx" || on === "gateway-error" || (on === "connect-failure" && !sent);
  }

  /** Takes one of the retries. False: there are no more, or the body is not held, or too many to this cluster are under way. */
  begin(): boolean {
    this.end();
    if (!this.body.whole || this.#begun >= this.#policy.retries || !this.#breaker.beginRetry()) return false;
    this.#begun++;
    this.#counted = true;
    return true;
  }

  /** Runs the retry just begun after a while: Envoy's fully jittered exponential backoff. */
  schedule(run: () => void): void {
    const most = Math.min(BASE_DELAY_MS * (2 ** this.#begun - 1), MAX_DELAY_MS);
    this.#timer = setTimeout(run, Math.random() * most);
  }

  /** The retry under way, if there is one, is over. */
  end(): void {
    clearTimeout(this.#timer);
    if (this.#counted) this.#breaker.endRetry();
    this.#counted = false;
  }
}

const BASE_DELAY_MS = 25;
const MAX_DELAY_MS = 250;
