import { Code, ConnectError } from "@connectrpc/connect";
import type { XdsKind } from "../resources.ts";
import { type Batch, halves, undoing } from "./batch.ts";
import { Holdings } from "./holdings.ts";
import type { EncodedResource } from "./encoded.ts";
import { type Refusal, Refusals } from "./refusals.ts";
import { namesOf } from "./snapshot.ts";

export interface SubscriptionOptions {
  /** null: a type that nothing is known of; all of its names are answered as removed. */
  readonly kind: XdsKind | null;
  /** The resource of that name as it should be. */
  readonly lookUp: (name: string) => EncodedResource | undefined;
  /** Everything there is, by name. */
  readonly published: () => ReadonlyMap<string, EncodedResource>;
  /** Whether a name is among those that a wildcard means. */
  readonly isInWildcard: (name: string) => boolean;
  readonly now: () => number;
}

/** May that change be sent now? What may not is asked about again. */
export interface Gate {
  mayAdd(resource: EncodedResource): boolean;
  mayRemove(name: string): boolean;
}

/**
 * One type of one client's stream: what it asks for, what it has, what is under way. One response at a time is under way; what
 * changes meanwhile is only remembered by name, so a slow client makes no queue. What a NACK concerns is narrowed down to single resources.
 */
export class Subscription {
  readonly kind: XdsKind | null;
  readonly names: Set<string> = new Set();
  readonly held: Holdings = new Holdings();
  wildcard = false;
  /** Counts the changes of `names` and `wildcard`: who has looked at all of them need not look again. */
  asks = 0;
  /** The next response goes out even if it is empty: the client waits for the first one. */
  mustAnswer = false;
  readonly #options: SubscriptionOptions;
  /** Names to look at: what the client has may differ from what it should have. */
  #dirty: ReadonlySet<string> = NO_NAMES;
  /** `#dirty` once it is this client's alone: until then it is one set for all that wait for the world. */
  #ownDirty: Set<string> | null = null;
  /** Names that are answered even if the client should have them: it may have dropped them before it asked again. */
  #forced = new Set<string>();
  /** What is left of a refused batch, behind what takes it back. */
  readonly #doubted: Batch[] = [];
  readonly #refusals: Refusals;
  #inFlight: Batch | null = null;

  constructor(options: SubscriptionOptions) {
    this.kind = options.kind;
    this.#options = options;
    const { lookUp, now } = options;
    this.#refusals = new Refusals({
      lookUp,
      isSubscribed: (name) => this.isSubscribed(name),
      held: this.held,
      onChange: (name) => this.#toChange().add(name),
      now,
    });
  }

  get refusals(): ReadonlyMap<string, Refusal> {
    return this.#refusals.byName;
  }

  get inFlight(): Batch | null {
    return this.#inFlight;
  }

  get dirty(): ReadonlySet<string> {
    return this.#dirty;
  }

  /** Nothing is under way and nothing is to be sent. */
  get isQuiet(): boolean {
    return (
      this.#inFlight === null &&
      this.#dirty.size === 0 &&
      this.#doubted.length === 0 &&
      !this.#refusals.isSearching &&
      !this.mustAnswer
    );
  }

  /** Names that wait or are under way. */
  get pending(): number {
    const { resources, removed } = this.#inFlight ?? NOTHING;
    return this.#dirty.size + resources.length + removed.length;
  }

  isSubscribed(name: string): boolean {
    return this.names.has(name) || (this.wildcard && this.#options.isInWildcard(name));
  }

  subscribeAll(): void {
    this.wildcard = true;
    this.asks++;
    const published = this.#options.published();
    if (this.#dirty.size === 0 && this.held.size === 0) {
      this.#dirty = namesOf(published);
      this.#ownDirty = null;
      return;
    }
    const dirty = this.#toChange();
    for (const name of published.keys()) dirty.add(name);
    for (const name of this.held.keys()) dirty.add(name);
  }

  unsubscribeAll(): void {
    this.wildcard = false;
    this.asks++;
    for (const name of [...this.held.keys()]) if (!this.isSubscribed(name)) this.forget(name);
  }

  /** `mayHave`: a name whose version the client has just named need not be answered. */
  subscribe(name: string, mayHave = false): void {
    if (this.names.size >= MOST_NAMES && !this.names.has(name)) throw new TooManyNames();
    this.names.add(name);
    this.asks++;
    if (mayHave) this.#toChange().add(name);
    else this.mark(name, true);
  }

  unsubscribe(name: string): void {
    this.names.delete(name);
    this.asks++;
    // The client cannot know whether the wildcard still covers the name: it is told.
    if (this.wildcard) this.mark(name, true);
    else this.forget(name);
  }

  /** The name is to be looked at, and answered in any case if `force`. */
  mark(name: string, force = false): void {
    this.#toChange().add(name);
    if (force) this.#forced.add(name);
    this.#refusals.onChanged(name);
  }

  /** What the client does not ask for any more. */
  forget(name: string): void {
    this.held.delete(name);
    if (this.#dirty.has(name)) this.#toChange().delete(name);
    this.#forced.delete(name);
    this.#refusals.byName.delete(name);
  }

  /** Those refusals that `which` means are doubted: their resources are sent once more. */
  retry(which: (refusal: Refusal) => boolean): void {
    for (const [name, refusal] of [...this.refusals]) {
      if (!which(refusal)) continue;
      this.#refusals.byName.delete(name);
      this.#toChange().add(name);
    }
  }

  /** These go out once more, before anything else. */
  doubt(batches: readonly Batch[]): void {
    this.#doubted.unshift(...batches);
  }

  /** The next response's content; null: nothing may be sent now. Its answer is awaited from then on. */
  next(gate: Gate): Batch | null {
    if (this.#inFlight !== null) return null;
    const batch = this.#nextTrial() ?? this.#nextDoubted() ?? this.#nextChanges(gate);
    if (batch === null) return null;
    this.mustAnswer = false;
    this.#inFlight = batch;
    return batch;
  }

  onAck(): void {
    const batch = this.#inFlight;
    this.#inFlight = null;
    if (batch === null || batch.isUndoing) return;
    for (const resource of batch.resources) this.held.set(resource.name, resource);
    for (const name of batch.removed) this.held.delete(name);
    if (this.#refusals.isTrial(batch.resources[0])) this.#refusals.onTried({ accepted: true, detail: "" });
    else for (const { name } of batch.resources) if (!this.isSubscribed(name)) this.held.delete(name);
    if (this.isQuiet && this.refusals.size === 0) this.held.share(this.#options.published());
  }

  onNack(detail: string): void {
    const batch = this.#inFlight;
    this.#inFlight = null;
    if (batch === null || batch.isUndoing) return;
    const [only] = batch.resources;
    // A removal that is refused will be refused again.
    if (only === undefined) for (const name of batch.removed) this.held.delete(name);
    else if (this.#refusals.isTrial(only)) this.#refusals.onTried({ accepted: false, detail });
    else if (batch.resources.length > 1 || batch.removed.length > 0) this.#doubted.unshift(...halves(batch));
    else this.#refusals.add(only, detail);
    if (this.kind === "secret") this.doubt(undoing(batch, (name) => this.held.get(name)));
  }

  #nextDoubted(): Batch | null {
    for (let batch = this.#doubted.shift(); batch !== undefined; batch = this.#doubted.shift()) {
      if (batch.isUndoing) return batch;
      // What has changed since is dirty, and goes out as it is now.
      const resources = batch.resources.filter(
        (resource) => this.#wanted(resource.name) === resource && this.isSubscribed(resource.name),
      );
      const removed = batch.removed.filter((name) => this.#wanted(name) === undefined);
      if (resources.length + removed.length > 0) return { ...batch, resources, removed };
    }
    return null;
  }

  #nextTrial(): Batch | null {
    const next = this.#refusals.nextTrial();
    return next === null ? null : { resources: [next], removed: [] };
  }

  #nextChanges(gate: Gate): Batch | null {
    const resources: EncodedResource[] = [];
    const removed: string[] = [];
    let bytes = 0;
    const dirty = this.#toChange();
    for (const name of dirty) {
      if (bytes >= MOST_BYTES && this.#mayComeInParts) break;
      const forced = this.#forced.has(name);
      const wanted = this.isSubscribed(name) ? this.#wanted(name) : "nothing";
      let isDone = true;
      if (wanted === "nothing") this.#forced.delete(name);
      else if (wanted === undefined) {
        if (forced || this.held.has(name)) isDone = gate.mayRemove(name) && removed.push(name) > 0;
      } else if (forced || this.held.get(name)?.version !== wanted.version)
        isDone = gate.mayAdd(wanted) && resources.push(wanted) > 0;
      if (isDone && typeof wanted === "object") bytes += wanted.byteLength;
      if (isDone) {
        dirty.delete(name);
        this.#forced.delete(name);
      }
    }
    // An emptied set keeps the room of all that it held.
    if (dirty.size === 0) [this.#dirty, this.#ownDirty] = [NO_NAMES, null];
    if (this.#forced.size === 0) this.#forced = new Set();
    const mustAnswer = this.mustAnswer && dirty.size === 0;
    return resources.length + removed.length > 0 || mustAnswer ? { resources, removed } : null;
  }

  /** Virtual hosts come together: a listener opens with the first of them. */
  get #mayComeInParts(): boolean {
    return this.kind === "cluster" || this.kind === "secret" || this.kind === "endpoints";
  }

  /** What the client should have by that name: undefined for nothing, "nothing" for whatever it has. */
  #wanted(name: string): EncodedResource | undefined | "nothing" {
    const resource = this.#options.lookUp(name);
    return resource && this.#refusals.insteadOf(resource);
  }

  #toChange(): Set<string> {
    if (this.#ownDirty === null) {
      this.#ownDirty = new Set(this.#dirty);
      this.#dirty = this.#ownDirty;
    }
    return this.#ownDirty;
  }
}

/** Ends the stream of a client that asks for names without end: each is kept for as long as it lasts. */
export class TooManyNames extends ConnectError {
  constructor() {
    super(`more than ${MOST_NAMES} names of one type are asked for`, Code.ResourceExhausted);
  }
}

/** Ten times the largest world that this was tried with (docs/engines.md). */
const MOST_NAMES = 100_000;
/** Of one response, where it may come in parts: the client answers each before the next. gRPC's own clients take no more than four times that. */
const MOST_BYTES = 1024 * 1024;
const NO_NAMES: ReadonlySet<string> = new Set();
const NOTHING: Batch = { resources: [], removed: [] };
