import type { AdsClient } from "./client.ts";
import type { ConnectedClient } from "./connected-client.ts";
import { Inlining } from "./inlined.ts";
import { changesBetween, EMPTY, type Snapshot } from "./snapshot.ts";

/** Clients that are served the same, and what they are served. */
export class Group {
  readonly clients: Set<ConnectedClient> = new Set();
  readonly #inlining = new Inlining();
  #snapshot: Snapshot | null = null;
  /** For the state-of-the-world protocol; made when there is a client of it. */
  #inlined: Snapshot | null = null;
  #label = "";
  /** Whom the last publication began with. */
  #first = 0;

  /** Null until something was published: until then clients wait. */
  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  get label(): string {
    return this.#label;
  }

  /** What clients of that protocol are served. */
  view(protocol: AdsClient["protocol"]): Snapshot | null {
    if (protocol === "delta" || this.#snapshot === null) return this.#snapshot;
    this.#inlined ??= this.#inlining.inlined(this.#snapshot);
    return this.#inlined;
  }

  /** What changed is found once, for all clients. */
  publish(snapshot: Snapshot, label: string): void {
    const inlinedBefore = this.#inlined;
    const changes = changesBetween(this.#snapshot ?? EMPTY, snapshot);
    this.#snapshot = snapshot;
    this.#inlined = null;
    this.#label = label;
    const deltas = [...this.clients].filter(({ options }) => options.protocol === "delta");
    for (const { session } of deltas) session.update(snapshot, changes, label);
    if (deltas.length < this.clients.size) {
      const inlined = this.view("state-of-the-world") as Snapshot;
      const inlinedChanges = changesBetween(inlinedBefore ?? EMPTY, inlined);
      for (const { session, options } of this.clients)
        if (options.protocol !== "delta") session.update(inlined, inlinedChanges, label);
    }
    this.#wakeAll();
  }

  /** Nobody is always the last: each time others begin. */
  #wakeAll(): void {
    const clients = [...this.clients];
    this.#first = (this.#first + AT_ONCE) % Math.max(1, clients.length);
    wakeFrom([...clients.slice(this.#first), ...clients.slice(0, this.#first)], 0);
  }
}

/** What is made for some is written at the end of a turn of the event loop: the first of a hundred need not wait for the last one's. */
function wakeFrom(clients: readonly ConnectedClient[], at: number): void {
  for (const { session } of clients.slice(at, at + AT_ONCE)) session.wake();
  if (at + AT_ONCE < clients.length) setImmediate(() => wakeFrom(clients, at + AT_ONCE));
}

const AT_ONCE = 8;
