import type { Clock } from "../../../telemetry/clock.ts";
import { REVISION } from "../revision-secret.ts";
import type { Subscription } from "./subscription.ts";

/** What the name goes to. */
export interface NamedClient {
  /** It has whatever else there is, or refuses it. */
  readonly isSettled: () => boolean;
  readonly secrets: () => Subscription | undefined;
  /** Called when the name may go out. */
  readonly onReady: () => void;
}

/** Whether a secret is the revision's name, which comes behind all else, and which no client needs to have all there is. */
export function isLate(secret: string): boolean {
  return secret === REVISION;
}

/**
 * Names the revision to one client when it has it whole, and nothing is said for a moment: what changes next goes first, and of
 * changes that come one after another the last is named.
 */
export class LateRevision {
  readonly #clock: Clock;
  readonly #client: NamedClient;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, client: NamedClient) {
    this.#clock = clock;
    this.#client = client;
  }

  /** Whether a changed secret is the revision's name, which is sent later. */
  takes(secret: string): boolean {
    if (!isLate(secret)) return false;
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
      if (!this.#client.isSettled()) {
        this.#wait(LONGER_MS);
        return;
      }
      // By force: a client that is quiet passes for having all (Holdings.share).
      this.#client.secrets()?.mark(REVISION, true);
      this.#client.onReady();
    });
  }
}

/** Longer than a change takes until it is in effect: where several come one after another, none waits for a hundred clients that are told a name. */
const MOMENT_MS = 300;
/** Of a client that is slow, or gone. */
const LONGER_MS = 1000;
