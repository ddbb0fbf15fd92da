/** What of a request is bounded in time, where its route says more than `timeout_ms`. Moments are `performance.now()`'s. */
export class Timeouts {
  /** Of silence; Infinity: none. */
  readonly idleMs: number;
  /** The route bounds silence itself, or says that nothing does: the engine's own bound on tunnels is not used. */
  readonly boundsTunnels: boolean;
  /** Of this try. */
  tryEndsAt: number = Number.POSITIVE_INFINITY;
  /** Of the request over all tries; null until it has gone out whole. */
  endsAt: number | null = null;
  #lastByteAt = 0;
  #phaseEndsAt = Number.POSITIVE_INFINITY;

  constructor(idleMs: number | undefined) {
    this.boundsTunnels = idleMs !== undefined;
    this.idleMs = idleMs || Number.POSITIVE_INFINITY;
  }

  /** A byte has come or gone. */
  touch(now: number): void {
    this.#lastByteAt = now;
  }

  /** What the request does now may take until `phaseEndsAt`. Returns when to look again. */
  restart(now: number, phaseEndsAt: number): number {
    this.#lastByteAt = now;
    this.#phaseEndsAt = phaseEndsAt;
    return this.#next();
  }

  /** What is over at `now`; a number: nothing, look again then. */
  check(now: number, begun: boolean): "silence" | "try" | "phase" | number {
    if (now >= this.#lastByteAt + this.idleMs) return "silence";
    if (now < this.#phaseEndsAt) return this.#next();
    if (this.endsAt === null || now >= this.endsAt) return "phase";
    if (!begun) return "try";
    // As in Envoy: a response that has begun is not held to the time of one try.
    this.#phaseEndsAt = this.endsAt;
    return this.#next();
  }

  #next(): number {
    return Math.min(this.#phaseEndsAt, this.#lastByteAt + this.idleMs);
  }
}
