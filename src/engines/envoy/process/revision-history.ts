import type { RevisionAt } from "./access-lines.ts";

/** Since when Envoy has had which revision whole: its log lines come later than what they tell of. */
export class RevisionHistory {
  /** Oldest first. */
  readonly #entries: { readonly since: number; readonly revision: number }[] = [];

  note(revision: number, now: number): void {
    if (this.#entries.at(-1)?.revision === revision) return;
    this.#entries.push({ since: now, revision });
    if (this.#entries.length > MOST) this.#entries.shift();
  }

  readonly at: RevisionAt = (time) => {
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const entry = this.#entries[index];
      if (entry !== undefined && entry.since <= time) return entry.revision;
    }
    return this.#entries[0]?.revision ?? null;
  };
}

/** Lines are a second late at most, but for those of long requests. */
const MOST = 100;
