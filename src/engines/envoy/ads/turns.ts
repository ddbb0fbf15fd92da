import type { Clock } from "../../../telemetry/clock.ts";

/** Who waits for a turn. */
export interface Waiting {
  /** Called when a turn may be had: first come, first called. */
  readonly onTurn: () => void;
}

/**
 * Large responses are sent to a few clients at a time, of a fleet that connects at once after a restart of the control plane, say:
 * until a client has the world, what it has and what it is to have yet are lists of its own. A turn lasts until its client
 * has all of them, or does not answer for a while.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #taken = new Map<Waiting, () => void>();
  readonly #waiting = new Set<Waiting>();

  constructor(clock: Clock, most: number = MOST) {
    this.#clock = clock;
    this.#most = most;
  }

  /** false: `onTurn` will be called. Who has a turn keeps it, and has as long again. */
  take(who: Waiting): boolean {
    const cancel = this.#taken.get(who);
    if (cancel === undefined && this.#taken.size >= this.#most) {
      this.#waiting.add(who);
      return false;
    }
    cancel?.();
    this.#waiting.delete(who);
    this.#taken.set(
      who,
      this.#clock.after(LONGEST_MS, () => this.end(who)),
    );
    return true;
  }

  has(who: Waiting): boolean {
    return this.#taken.has(who);
  }

  /** Has answered, needs none any more, or is gone. */
  end(who: Waiting): void {
    this.#waiting.delete(who);
    const cancel = this.#taken.get(who);
    if (cancel === undefined) return;
    cancel();
    this.#taken.delete(who);
    const [next] = this.#waiting;
    next?.onTurn();
  }
}

/** With ten thousand clusters, a megabyte or two each. */
const MOST = 8;
/** A client that does not answer holds up the others for so long. */
const LONGEST_MS = 10_000;
