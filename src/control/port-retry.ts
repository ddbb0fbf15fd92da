import type { EngineProblem } from "../engines/engine.ts";

/**
 * Asks for one more try while a listener waits for a port that another program has: the system does not say when one is given up. Soon at
 * first, as a program that is replaced ends within seconds, then less and less often.
 */
export class PortRetry {
  readonly #tryAgain: () => void;
  #delay = FIRST_MS;
  #timer: NodeJS.Timeout | undefined;
  #isDue = false;
  /** The listeners that wait. */
  #waiting = "";

  constructor(tryAgain: () => void) {
    this.#tryAgain = tryAgain;
  }

  /** Given all that stands against what was tried last. */
  note(problems: readonly EngineProblem[]): void {
    const waiting = problems
      .filter(({ code }) => UNAVAILABLE.includes(code))
      .map(({ subject }) => subject)
      .join(" ");
    if (waiting !== this.#waiting) {
      this.stop();
      this.#waiting = waiting;
      this.#delay = FIRST_MS;
    }
    if (waiting === "" || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#isDue = true;
      this.#tryAgain();
    }, this.#delay).unref();
    this.#delay = Math.min(LONGEST_MS, this.#delay * 2);
  }

  /** Whether the round that begins is one that was asked for. */
  takeDue(): boolean {
    const isDue = this.#isDue;
    this.#isDue = false;
    return isDue;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

const UNAVAILABLE = ["listener-port-unavailable", "tcp-port-unavailable"];
const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
