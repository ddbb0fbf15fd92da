/**
 * Timeouts for many connections at the price of one timer. A connection joins once and moves its `deadline` as it goes
 * on: an assignment, where setTimeout would cost an allocation and a heap operation per request.
 */
export interface Timed {
  /** Milliseconds of `performance.now()`; Infinity: none. */
  deadline: number;
  /** Called once the deadline has passed, at most `SWEEP_MS` late. The callee sets a new deadline or ends. */
  onDeadline(): void;
}

/** How late a timeout may be, in milliseconds. */
const SWEEP_MS = 50;

export class Deadlines {
  readonly #members = new Set<Timed>();
  #timer: NodeJS.Timeout | undefined;

  join(member: Timed): void {
    this.#members.add(member);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  leave(member: Timed): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.stop();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    const now = performance.now();
    for (const member of this.#members) {
      if (member.deadline > now) continue;
      member.deadline = Number.POSITIVE_INFINITY;
      member.onDeadline();
    }
  }
}
