import type { Clock } from "../../../telemetry/clock.ts";
import { REVISION } from "../revision-secret.ts";

/**
 * Names the revision to one client when it has it whole, and nothing is said for a moment: what changes next goes first, and of
 * changes that come one after another the last is named. To be sent by force: a client that is quiet passes for having all (Holdings.share).
 */
export class LateRevision {
  readonly #clock: Clock;
  readonly #isSettled: () => boolean;
  readonly #send: () => void;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, isSettled: () => boolean, send: () => void) {
    this.#clock = clock;
    this.#isSettled = isSettled;
    this.#send = send;
  }

  /** Whether a changed secret is the revision's name, which is sent later. */
  takes(secret: string): boolean {
    if (secret !== REVISION) return false;
    this.#cancel?.();
    this.#wait(MOMENT_MS);
    return true;
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #wait(milliseconds: number): void {
    this.#cancel = this.#clock.after(milliseconds, () => {
      this.#cancel = null;
      if (this.#isSettled()) this.#send();
      else this.#wait(LONGER_MS);
    });
  }
}

/** Longer than a change takes until it is in effect: where several come one after another, none waits for a hundred clients that are told a name. */
const MOMENT_MS = 300;
/** Of a client that is slow, or gone. */
const LONGER_MS = 1000;
