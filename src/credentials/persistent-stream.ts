import type { Clock } from "../telemetry/clock.ts";

/** One attempt at a stream. */
export interface Attempt {
  /** Aborted when nobody wants the stream any more, or its first answer does not come. */
  readonly signal: AbortSignal;
  /** An answer is there and good: whatever was the matter is over. */
  answered(): void;
  /** An answer is there and of no use. */
  troubled(why: string): void;
}

export interface StreamOptions {
  readonly clock: Clock;
  /** Holds one stream until it ends; resolved or rejected, it is opened anew. */
  readonly open: (attempt: Attempt) => Promise<void>;
  /** Why it failed, one clause. */
  readonly explain: (error: unknown) => string;
  /** What keeps it from delivering; null: nothing any more. */
  readonly onTrouble: (trouble: string | null) => void;
  /** For tests: from 0 to 1. */
  readonly random?: () => number;
}

/**
 * A stream that is kept open: opened again when it ends, after delays that double up to a minute and are shortened by
 * chance, so that a hundred gateways do not come back at the same moment.
 */
export class PersistentStream {
  /** Resolves at the first answer or failure, or when that takes too long. */
  readonly first: Promise<void>;
  readonly #options: StreamOptions;
  readonly #stopped = new AbortController();
  #delay = FIRST_DELAY_MS;
  #settleFirst: () => void = () => {};
  #cancelDelay: () => void = () => {};

  constructor(options: StreamOptions) {
    this.#options = options;
    this.first = new Promise((resolve) => {
      this.#settleFirst = resolve;
    });
    void this.#attempt();
  }

  stop(): void {
    this.#stopped.abort();
    this.#cancelDelay();
    this.#settleFirst();
  }

  async #attempt(): Promise<void> {
    const { clock, open, explain, onTrouble } = this.#options;
    const began = clock.now();
    const abandon = new AbortController();
    let hasAnswered = false;
    let useless = 0;
    const report = (trouble: string | null): void => {
      if (!this.#stopped.signal.aborted) onTrouble(trouble);
      this.#settleFirst();
    };
    const seen = (trouble: string | null): void => {
      hasAnswered = true;
      cancelLate();
      cancelAbandon();
      report(trouble);
    };
    const cancelLate = clock.after(LATE_MS, () => report(`no answer for ${LATE_MS / 1000} s`));
    const cancelAbandon = clock.after(ABANDONED_MS, () => abandon.abort());
    let ending = "the stream was ended by the other side";
    try {
      await open({
        signal: AbortSignal.any([this.#stopped.signal, abandon.signal]),
        answered() {
          useless = 0;
          seen(null);
        },
        troubled(why) {
          seen(why);
          // An issuer may repeat itself as often as it is refused: two that insist would keep a processor busy.
          if (++useless === MOST_USELESS) abandon.abort();
        },
      });
    } catch (error) {
      if (useless < MOST_USELESS)
        ending = abandon.signal.aborted ? `no answer for ${ABANDONED_MS / 1000} s` : explain(error);
    }
    cancelLate();
    cancelAbandon();
    if (this.#stopped.signal.aborted) return;
    // One that served its time and ended is the restart of an agent; whether that failed is seen at the next attempt.
    if (clock.now() - began >= STEADY_MS && hasAnswered) this.#delay = FIRST_DELAY_MS;
    else if (useless < MOST_USELESS) report(ending);
    const delay = this.#delay * (0.5 + 0.5 * (this.#options.random ?? Math.random)());
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY_MS);
    this.#cancelDelay = clock.after(delay, () => void this.#attempt());
  }
}

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;
/** What lasted so long is no sign of an issuer in distress. */
const STEADY_MS = 60_000;
/** A start does not wait longer for an issuer that is slow. */
const LATE_MS = 5_000;
/** Answers of no use, one after the other, after which it is dialled anew, later and later. */
const MOST_USELESS = 5;
/** Slow is waited for; what is dead is dialled anew. */
const ABANDONED_MS = 60_000;
