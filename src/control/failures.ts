import type { FailureRecord } from "../diagnostics/failure.ts";

/** The last failed requests, for the operator who has an id from a response. */
export class FailureHistory {
  readonly #capacity: number;
  readonly #byId = new Map<string, FailureRecord>();

  constructor(capacity = 1000) {
    this.#capacity = capacity;
  }

  add(record: FailureRecord): void {
    this.#byId.set(record.id, record);
    if (this.#byId.size <= this.#capacity) return;
    const [oldest] = this.#byId.keys();
    if (oldest !== undefined) this.#byId.delete(oldest);
  }

  find(id: string): FailureRecord | undefined {
    return this.#byId.get(id);
  }

  /** Newest first. */
  recent(count: number = this.#capacity): FailureRecord[] {
    return [...this.#byId.values()].reverse().slice(0, count);
  }
}
