/** Delays between starts: 1 s, doubled each time up to 30 s; anew from the beginning after a minute's run. */
export class Backoff {
  #next = FIRST_MS;

  /** The delay after a run of so many milliseconds. */
  after(runMs: number): number {
    if (runMs >= STEADY_MS) this.#next = FIRST_MS;
    const delay = this.#next;
    this.#next = Math.min(LONGEST_MS, delay * 2);
    return delay;
  }
}

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
const STEADY_MS = 60_000;
