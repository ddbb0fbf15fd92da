import type { Clock } from "../../../telemetry/clock.ts";
import { TYPE_URLS, type XdsKind } from "../resources.ts";
import type { Batch } from "./batch.ts";
import { ClosedSecrets } from "./closed-secrets.ts";
import { FirstClusters } from "./first-clusters.ts";
import { Followers } from "./followers.ts";
import { LateRevision } from "./late-revision.ts";
import { Order } from "./order.ts";
import type { Refusal } from "./refusals.ts";
import type { EncodedResource } from "./encoded.ts";
import { type Changes, EMPTY, KINDS, type Snapshot } from "./snapshot.ts";
import { Subscription } from "./subscription.ts";
import type { Turns, Waiting } from "./turns.ts";

export interface SessionOptions {
  readonly clock: Clock;
  /** How long a route waits for its cluster, and a removal for those that used what goes. */
  readonly orderLimitMs: number;
  /** Called when there may be something to send. */
  readonly onReady: () => void;
  /** Of the server's clients, for large responses. */
  readonly turns: Turns;
  /** Told of clusters that DNS keeps from warming, which are taken from a client that starts; absent: none are. */
  readonly onLate?: ((clusters: readonly string[]) => void) | undefined;
}

/** Everything about one client's stream but the wire: which types it asks for, and what it is to be sent next. */
export class Session {
  readonly #options: SessionOptions;
  readonly #types = new Map<string, Subscription>();
  readonly #order: Order;
  #snapshot: Snapshot | null;
  #label: string;
  #cancelTimer: () => void = () => undefined;
  readonly #turn: Waiting;
  readonly #revision: LateRevision;
  /** Of a client that starts; null: it does not, or not so. */
  #first: FirstClusters | null = null;
  /** Clusters that come after its listeners: nothing waits for them to warm, which Envoy acknowledges them by. */
  #late: ReadonlySet<string> = NOBODY;
  readonly #followers = new Followers(
    (kind) => this.get(kind),
    () => this.#snapshot,
  );
  readonly #closed = new ClosedSecrets(
    (kind) => this.get(kind),
    () => this.#snapshot ?? EMPTY,
  );
  /** Those whose large response is under way. */
  readonly #large = new Set<Subscription>();
  readonly sent: { responses: number; resources: number; bytes: number; refused: number } = {
    responses: 0,
    resources: 0,
    bytes: 0,
    refused: 0,
  };

  constructor(options: SessionOptions, snapshot: Snapshot | null, label: string) {
    this.#options = options;
    this.#snapshot = snapshot;
    this.#label = label;
    this.#turn = { onTurn: options.onReady };
    this.#revision = new LateRevision(options.clock, {
      isSettled: () => this.isSettled,
      secrets: () => this.get("secret"),
      onReady: options.onReady,
    });
    const kinds = {
      get: (kind: XdsKind) => this.get(kind),
      [Symbol.iterator]: () => this.#types.values(),
    };
    const isWaitedFor = (cluster: string): boolean => !this.#late.has(cluster);
    const secretNames = (): string[] => [...(this.#snapshot ?? EMPTY).secret.keys()];
    this.#order = new Order(kinds, options.orderLimitMs, () => options.clock.now(), isWaitedFor, secretNames);
  }

  get label(): string {
    return this.#label;
  }

  get(kind: XdsKind): Subscription | undefined {
    return this.#types.get(TYPE_URLS[kind]);
  }

  /** The type's subscription; made when first asked for. Null: the client asks for more unknown types than it could mean. */
  open(typeUrl: string): { subscription: Subscription; isNew: boolean } | null {
    const known = this.#types.get(typeUrl);
    if (known !== undefined) return { subscription: known, isNew: false };
    if (this.#types.size >= MOST_TYPES) return null;
    const kind = KINDS.find((kind) => TYPE_URLS[kind] === typeUrl) ?? null;
    const subscription = new Subscription({
      kind,
      lookUp: (name) => this.#lookUp(kind, name),
      published: () => (kind === null ? NOTHING : (this.#snapshot ?? EMPTY)[kind]),
      isInWildcard: kind === "virtual-host" ? (name) => this.#followers.knowsOwner(name) : () => true,
      now: () => this.#options.clock.now(),
    });
    this.#types.set(typeUrl, subscription);
    if (kind === "listener") this.#endStart();
    return { subscription, isNew: true };
  }

  /** To be called where a client asks for all clusters and has none: it starts. */
  start(): void {
    const { clock, onLate, onReady } = this.#options;
    if (onLate === undefined || this.get("listener") !== undefined) return;
    this.#first = new FirstClusters({
      clock,
      clusters: () => (this.#snapshot ?? EMPTY).cluster.values(),
      onWithheld: (names) => {
        onLate(names);
        for (const name of names) this.get("cluster")?.mark(name);
        onReady();
      },
    });
  }

  /** Every name there is of that type. */
  namesOf({ kind }: Subscription): Iterable<string> {
    return kind === null ? [] : (this.#snapshot ?? EMPTY)[kind].keys();
  }

  /** Those of the names that there are. */
  known({ kind }: Subscription, names: Iterable<string>): EncodedResource[] {
    return [...names].flatMap((name) => this.#lookUp(kind, name) ?? []);
  }

  /** To be called for each name that a client asks for. */
  subscribe(subscription: Subscription, name: string, mayHave: boolean): void {
    this.#followers.subscribe(subscription, name, mayHave);
  }

  subscribeAll(subscription: Subscription): void {
    this.#followers.subscribeAll(subscription);
  }

  unsubscribe(subscription: Subscription, name: string): void {
    this.#followers.unsubscribe(subscription, name);
  }

  /** The client has what is under way for that type. */
  acknowledge(subscription: Subscription): void {
    const wasUndoing = subscription.inFlight?.isUndoing === true;
    subscription.onAck();
    this.#closed.onAcknowledged(subscription, wasUndoing);
    this.#answered(subscription);
    if (subscription.kind !== "cluster" || !subscription.isQuiet) return;
    this.#first?.onAcknowledged();
    if (this.#first === null) this.#late = NOBODY;
  }

  /** The client refuses what is under way for that type. */
  refuse(subscription: Subscription, detail: string): void {
    this.#followers.onRefused(subscription);
    this.sent.refused++;
    subscription.onNack(detail);
    this.#closed.onRefused(subscription);
    this.#answered(subscription);
  }

  update(snapshot: Snapshot, changes: Changes, label: string): void {
    const isFirst = this.#snapshot === null;
    this.#snapshot = snapshot;
    this.#label = label;
    for (const kind of KINDS) {
      const subscription = this.get(kind);
      if (subscription === undefined) continue;
      if (isFirst && subscription.wildcard) subscription.subscribeAll();
      for (const name of changes[kind] ?? [])
        if (subscription.isSubscribed(name) && !this.#revision.takes(name)) subscription.mark(name);
    }
    this.#closed.onPublished();
  }

  /** With the next `update` listeners are sent again that were refused for their ports: those may be free by now. */
  retryPorts(): void {
    this.get("listener")?.retry(isBindFailure);
  }

  /** After an `update`: there may be something to send. */
  wake(): void {
    this.#options.onReady();
  }

  /** The next response; null: wait for `onReady`. */
  next(): { typeUrl: string; subscription: Subscription; batch: Batch } | null {
    // Without a snapshot nobody is told that there is nothing.
    if (this.#snapshot === null) return null;
    this.#order.begin();
    for (const typeUrl of this.#typeUrls()) {
      const subscription = this.#types.get(typeUrl);
      if (subscription === undefined || subscription.isQuiet) continue;
      const isLarge = subscription.inFlight === null && subscription.dirty.size > MANY;
      if (isLarge && !this.#options.turns.take(this.#turn)) continue;
      const batch = subscription.next(this.#order.gate(subscription.kind));
      if (batch === null) {
        // What it waits for is not its own answer to a large response: others may have the turn meanwhile.
        if (isLarge && this.#large.size === 0) this.#options.turns.end(this.#turn);
        continue;
      }
      // The last part of a large response may be small.
      if (isLarge || this.#options.turns.has(this.#turn)) this.#large.add(subscription);
      this.sent.responses++;
      this.sent.resources += batch.resources.length;
      for (const { byteLength } of batch.resources) this.sent.bytes += byteLength;
      this.#followers.onSent(subscription.kind, batch.resources);
      return { typeUrl, subscription, batch };
    }
    this.#wait();
    return null;
  }

  /** Whether all that was published has been acknowledged, or refused. */
  get isSettled(): boolean {
    if (this.#snapshot === null || this.#first?.hasWithheld === true) return false;
    for (const subscription of this.#types.values()) if (!subscription.isQuiet) return false;
    return true;
  }

  refusals(kind: XdsKind): Refusal[] {
    return kind === "secret" ? this.#closed.refusals : [...(this.get(kind)?.refusals.values() ?? [])];
  }

  /** Something is closed for a refused secret: what it named is not asked for. */
  get hasClosed(): boolean {
    return !this.#closed.isEmpty;
  }

  close(): void {
    this.#options.turns.end(this.#turn);
    this.#cancelTimer();
    this.#first?.close();
    this.#revision.close();
  }

  #endStart(): void {
    if (this.#first === null) return;
    this.#late = this.#first.onListenersAsked();
    this.#first = null;
    for (const name of this.#late) this.get("cluster")?.mark(name);
  }

  /** With the last large response: each type has one of its own, and one may come in parts. Half of the world for everybody would be half of it a client. */
  #answered(subscription: Subscription): void {
    if (!this.#large.delete(subscription) || this.#large.size > 0) return;
    for (const { dirty } of this.#types.values()) if (dirty.size > MANY) return;
    this.#options.turns.end(this.#turn);
  }

  #lookUp(kind: XdsKind | null, name: string): EncodedResource | undefined {
    if (kind === null) return undefined;
    const instead = kind === "cluster" ? this.#first?.insteadOf(name) : undefined;
    if (instead !== undefined) return instead ?? undefined;
    const published = this.#snapshot?.[kind].get(name);
    return published && this.#closed.insteadOf(published);
  }

  #typeUrls(): string[] {
    const known = KINDS.map((kind) => TYPE_URLS[kind]);
    return [...known, ...[...this.#types.keys()].filter((typeUrl) => !known.includes(typeUrl))];
  }

  #wait(): void {
    this.#cancelTimer();
    const until = this.#order.heldUntil;
    if (until === null) return;
    this.#cancelTimer = this.#options.clock.after(until - this.#options.clock.now(), this.#options.onReady);
  }
}

/** Whether a listener was refused for its address, as Envoy 1.40 says it: then it may work later with the same bytes. */
export function isBindFailure({ detail }: { readonly detail: string }): boolean {
  return /cannot bind|Address already in use|Permission denied|Cannot assign requested address/i.test(detail);
}

const MOST_TYPES = 32;
const NOBODY: ReadonlySet<string> = new Set();
/** Resources in a response that make it a large one. */
const MANY = 64;
const NOTHING: ReadonlyMap<string, EncodedResource> = new Map();
