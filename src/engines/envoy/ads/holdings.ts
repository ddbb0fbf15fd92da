import type { EncodedResource } from "./encoded.ts";

/** What a client is known to have. Of what it had before this stream only the version is known. */
export type Held = EncodedResource | { readonly version: string };

/**
 * What one client has of one type, by name. Clients that have all that was published share the published map, so that a hundred of
 * them with ten thousand resources each cost little more than one.
 */
export class Holdings {
  /** What was shared with others at some time, and what is different here since; null: not held. */
  #base: ReadonlyMap<string, Held> = new Map();
  #differences = new Map<string, Held | null>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(name: string): Held | undefined {
    const different = this.#differences.get(name);
    return different === undefined ? this.#base.get(name) : (different ?? undefined);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, held: Held): void {
    if (!this.has(name)) this.#size++;
    this.#differences.set(name, held);
  }

  delete(name: string): void {
    if (!this.has(name)) return;
    this.#size--;
    if (this.#base.has(name)) this.#differences.set(name, null);
    else this.#differences.delete(name);
  }

  *entries(): Generator<[name: string, held: Held]> {
    for (const [name, held] of this.#base) if (!this.#differences.has(name)) yield [name, held];
    for (const [name, held] of this.#differences) if (held !== null) yield [name, held];
  }

  *keys(): Generator<string> {
    for (const [name] of this.entries()) yield name;
  }

  /** The client has all of `published`, as far as it differs from what it had; anything else it has keeps the map its own. */
  share(published: ReadonlyMap<string, EncodedResource>): void {
    if (this.#base === published || this.#size !== published.size) return;
    for (const [name, held] of this.#differences)
      if (held !== null && published.get(name)?.version !== held.version) return;
    this.#base = published;
    this.#differences = new Map();
  }
}
