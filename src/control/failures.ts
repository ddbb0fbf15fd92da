import { FAILURE_REASONS, type FailureRecord } from "../diagnostics/failure.ts";

/**
 * The last failed requests, for the operator who has an id from a response. What clients brought about themselves (4xx)
 * is kept apart: a scanner's noise must not push out the one failure somebody asks about.
 */
export class FailureHistory {
  readonly #capacity: number;
  readonly #byClients = new Map<string, FailureRecord>();
  readonly #byOthers = new Map<string, FailureRecord>();

  /** `capacity` of either sort. */
  constructor(capacity = 1000) {
    this.#capacity = capacity;
  }

  add(record: FailureRecord): void {
    const records = isClients(record) ? this.#byClients : this.#byOthers;
    records.set(record.id, record);
    if (records.size <= this.#capacity) return;
    const [oldest] = records.keys();
    if (oldest !== undefined) records.delete(oldest);
  }

  find(id: string): FailureRecord | undefined {
    return this.#byOthers.get(id) ?? this.#byClients.get(id);
  }

  /** Newest first. */
  recent(count: number = this.#capacity): FailureRecord[] {
    const all = [...this.#byOthers.values(), ...this.#byClients.values()];
    // ISO times sort as text; of equal ones the later entry is the newer.
    return all
      .reverse()
      .sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0))
      .slice(0, count);
  }
}

/** The client's own doing, as far as its status says; an AuthService that is down refuses clients who did nothing. */
export function isClients({ reason }: FailureRecord): boolean {
  return FAILURE_REASONS[reason] < 500 && reason !== "authorization_unavailable";
}
