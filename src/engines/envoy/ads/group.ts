import type { ConnectedClient } from "./connected-client.ts";
import { changesBetween, EMPTY, type Snapshot } from "./snapshot.ts";

/** Clients that are served the same, and what they are served. */
export class Group {
  readonly clients: Set<ConnectedClient> = new Set();
  #snapshot: Snapshot | null = null;
  #label = "";

  /** Null until something was published: until then clients wait. */
  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  get label(): string {
    return this.#label;
  }

  /** What changed is found once, for all clients. */
  publish(snapshot: Snapshot, label: string): void {
    const changes = changesBetween(this.#snapshot ?? EMPTY, snapshot);
    this.#snapshot = snapshot;
    this.#label = label;
    for (const { session } of this.clients) session.update(snapshot, changes, label);
  }
}
