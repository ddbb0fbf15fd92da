import type { EncodedResource } from "./encoded.ts";
import type { Holdings } from "./holdings.ts";
import { type Mended, narrow, scratchName, type Verdict, wholeHost } from "./narrowing.ts";

/** A resource that the client refused: not sent again until its bytes change. */
export interface Refusal {
  readonly name: string;
  readonly version: string;
  readonly detail: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** What was found out about it, and is sent in its place; absent: the last good one stays. */
  readonly mended?: Mended;
  /** The resource, with what it was made from. */
  readonly resource: EncodedResource;
}

export interface RefusingClient {
  /** The resource of that name as it should be. */
  readonly lookUp: (name: string) => EncodedResource | undefined;
  readonly isSubscribed: (name: string) => boolean;
  readonly held: Holdings;
  /** What it is to have by that name may be something else now. */
  readonly onChange: (name: string) => void;
  readonly now: () => number;
}

/** What one client refuses of one type, what it is given instead, and the search for what of a virtual host it is. */
export class Refusals {
  readonly byName: Map<string, Refusal> = new Map();
  readonly #client: RefusingClient;
  #search: {
    readonly resource: EncodedResource;
    readonly steps: ReturnType<typeof narrow>;
    next: EncodedResource;
  } | null = null;

  constructor(client: RefusingClient) {
    this.#client = client;
  }

  get isSearching(): boolean {
    return this.#search !== null;
  }

  /** What the client should have for that resource: undefined for nothing, "nothing" for whatever it has. */
  insteadOf(resource: EncodedResource): EncodedResource | undefined | "nothing" {
    const refusal = this.byName.get(resource.name);
    if (refusal?.version !== resource.version) return resource;
    const replacement = refusal.mended?.replacement ?? null;
    if (replacement !== null) return replacement;
    const held = this.#client.held.get(resource.name);
    if (held === undefined) return undefined;
    return "bytes" in held ? held : "nothing";
  }

  /** Other bytes may be taken. */
  onChanged(name: string): void {
    const refusal = this.byName.get(name);
    if (refusal !== undefined && refusal.version !== this.#client.lookUp(name)?.version)
      this.byName.delete(name);
  }

  /** That resource alone is what the client refuses. */
  add(resource: EncodedResource, detail: string): void {
    const { lookUp, held, now, onChange } = this.#client;
    const refused = lookUp(resource.name);
    // It is not wanted any more: nothing is learned from it.
    if (refused === undefined) return;
    const known = this.byName.get(resource.name);
    const lastGood = (): string | undefined => held.get(resource.name)?.version;
    if (known?.mended?.replacement === resource) {
      const { mended, ...without } = known;
      const isWhole = mended.host !== null;
      this.byName.set(
        resource.name,
        isWhole ? without : { ...without, mended: wholeHost(known.resource, lastGood(), mended.culprits) },
      );
      if (!isWhole) onChange(resource.name);
      return;
    }
    if (refused !== resource) return;
    const { name, version } = resource;
    this.byName.set(name, { name, version, detail, at: now(), resource });
    if (resource.kind !== "virtual-host") return;
    const steps = narrow(resource, lastGood);
    const first = steps.next();
    if (first.done !== true) this.#search = { resource, steps, next: first.value };
    else this.#mend(name, first.value);
  }

  /** What is to be tried next; null: nothing. */
  nextTrial(): EncodedResource | null {
    if (this.#search === null) return null;
    const { resource, next } = this.#search;
    if (this.#client.lookUp(resource.name) === resource && this.#client.isSubscribed(resource.name))
      return next;
    this.#endSearch();
    return null;
  }

  isTrial(resource: EncodedResource | undefined): boolean {
    return this.#search !== null && resource === this.#search.next;
  }

  /** What the client says of the trial. */
  onTried(verdict: Verdict): void {
    if (this.#search === null) return;
    const { value, done } = this.#search.steps.next(verdict);
    if (done !== true) {
      this.#search.next = value;
      return;
    }
    this.#mend(this.#search.resource.name, value);
    this.#endSearch();
  }

  #mend(name: string, mended: Mended): void {
    const refusal = this.byName.get(name);
    if (refusal !== undefined) this.byName.set(name, { ...refusal, mended });
    this.#client.onChange(name);
  }

  /** The scratch resource is held perhaps, and wanted by nobody: it goes with the next response. */
  #endSearch(): void {
    if (this.#search === null) return;
    this.#client.onChange(scratchName(this.#search.resource.name));
    this.#search = null;
  }
}
