import type { XdsKind } from "../resources.ts";
import type { Batch } from "./batch.ts";
import type { EncodedResource } from "./encoded.ts";
import type { Gate, Subscription } from "./subscription.ts";

/**
 * Make before break across types: what names a new cluster waits until the client says that it has it, what names a changed
 * secret until that is sent, and what is not named any more goes last. A wait that holds up others has an end: a cluster may never warm.
 */
export class Order {
  readonly #subscriptions: Iterable<Subscription> & { get(kind: XdsKind): Subscription | undefined };
  readonly #limitMs: number;
  readonly #now: () => number;
  readonly #isWaitedFor: (cluster: string) => boolean;
  readonly #secretNames: () => readonly string[];
  /** Since when a client that came back has said nothing of its secrets. */
  #silentSince: number | null = null;
  /** Since when each is waited for, while they are few. */
  readonly #unsettled = new Map<string, number>();
  /** Since when they are too many to be told apart. */
  #manySince: number | null = null;
  #removalsSince: number | null = null;
  /** The response with secrets that others wait behind, and since when. */
  #secretsAhead: { readonly batch: Batch; readonly since: number } | null = null;
  /** When the first wait that holds something back ends; null: nothing is held back. */
  #heldUntil: number | null = null;

  constructor(
    subscriptions: { get(kind: XdsKind): Subscription | undefined } & Iterable<Subscription>,
    limitMs: number,
    now: () => number,
    isWaitedFor: (cluster: string) => boolean = () => true,
    secretNames: () => readonly string[] = () => [],
  ) {
    this.#subscriptions = subscriptions;
    this.#limitMs = limitMs;
    this.#now = now;
    this.#isWaitedFor = isWaitedFor;
    this.#secretNames = secretNames;
  }

  get heldUntil(): number | null {
    return this.#heldUntil;
  }

  /** To be called before each round of asking the gates. */
  begin(): void {
    this.#heldUntil = null;
  }

  gate(kind: XdsKind | null): Gate {
    if (kind === "secret" || kind === "endpoints")
      return { mayAdd: () => true, mayRemove: () => this.#areUsersQuiet() };
    if (kind === "cluster") {
      const untold = this.#untoldSecrets();
      const overtakes = this.#overtakesSecrets(kind);
      return {
        mayAdd: (resource) => (untold === null ? !overtakes(resource) : !namesAny(resource, untold)),
        mayRemove: () => this.#areUsersQuiet(),
      };
    }
    if (kind === null) return OPEN;
    const clusters = this.#unsettledClusters();
    const overtakes = kind === "listener" ? this.#overtakesSecrets(kind) : NEVER;
    if (clusters.length === 0 && overtakes === NEVER) return OPEN;
    return {
      mayAdd: (resource) => !namesAny(resource, clusters) && !overtakes(resource),
      mayRemove: () => true,
    };
  }

  /** Clusters that the client does not have yet, and whose time is not over. More than `MANY` stand for all. */
  #unsettledClusters(): readonly string[] {
    const clusters = this.#subscriptions.get("cluster");
    const fresh = clusters === undefined || clusters.isQuiet ? NONE : unsettled(clusters, this.#isWaitedFor);
    if (fresh.size === 0) {
      this.#unsettled.clear();
      this.#manySince = null;
      return [];
    }
    const now = this.#now();
    if (fresh.size > MANY) {
      this.#manySince ??= now;
      if (now - this.#manySince >= this.#limitMs) return [];
      this.#hold(this.#manySince);
      return [...fresh];
    }
    for (const name of this.#unsettled.keys()) if (!fresh.has(name)) this.#unsettled.delete(name);
    const names: string[] = [];
    for (const name of fresh) {
      const since = this.#unsettled.get(name) ?? this.#manySince ?? now;
      this.#unsettled.set(name, since);
      if (now - since >= this.#limitMs) continue;
      names.push(name);
      this.#hold(since);
    }
    this.#manySince = null;
    return names;
  }

  /**
   * Whether a resource names secrets that changed while an answer to others is awaited. A new generation of it would be warmed with
   * the old ones, and connections made with those would stay: nothing retires them once the new ones come. So one that the client
   * has in an earlier generation waits as long as it takes, be a client ever so slow; one that it does not have, up to the limit.
   */
  #overtakesSecrets(kind: "cluster" | "listener"): (resource: EncodedResource) => boolean {
    const secrets = this.#subscriptions.get("secret");
    const batch = secrets?.inFlight ?? null;
    if (secrets === undefined || batch === null) {
      this.#secretsAhead = null;
      return NEVER;
    }
    const names = [...secrets.dirty].filter((name) => secrets.isSubscribed(name));
    if (names.length === 0) return NEVER;
    const now = this.#now();
    if (this.#secretsAhead?.batch !== batch) this.#secretsAhead = { batch, since: now };
    const { since } = this.#secretsAhead;
    const isOver = now - since >= this.#limitMs;
    if (!isOver) this.#hold(since);
    const held = this.#subscriptions.get(kind)?.held;
    return (resource) => (!isOver || held?.has(resource.name) === true) && namesAny(resource, names);
  }

  /**
   * A client that comes back has secrets, and does not say so before it has asked for clusters. What it is sent before that would
   * be warmed with secrets of before, as above. A client that never says so has none. Null: it has said what it has, or has nothing.
   */
  #untoldSecrets(): readonly string[] | null {
    if (this.#subscriptions.get("secret") !== undefined) return null;
    if ((this.#subscriptions.get("cluster")?.held.size ?? 0) === 0) return null;
    const now = this.#now();
    this.#silentSince ??= now;
    const limitMs = Math.min(this.#limitMs, SILENT_MS);
    if (now - this.#silentSince >= limitMs) return null;
    this.#hold(this.#silentSince, limitMs);
    return this.#secretNames();
  }

  /** Listeners and routes are as they should be, so that nothing uses what goes now. */
  #areUsersQuiet(): boolean {
    const isQuiet = USERS.every((kind) => this.#subscriptions.get(kind)?.isQuiet ?? true);
    if (isQuiet) {
      this.#removalsSince = null;
      return true;
    }
    this.#removalsSince ??= this.#now();
    if (this.#now() - this.#removalsSince >= this.#limitMs) return true;
    this.#hold(this.#removalsSince);
    return false;
  }

  #hold(since: number, limitMs: number = this.#limitMs): void {
    this.#heldUntil = Math.min(this.#heldUntil ?? Number.POSITIVE_INFINITY, since + limitMs);
  }
}

/** No more than one beyond `MANY` are looked for: of a client that has nothing yet it would be the world, each time. */
function unsettled(clusters: Subscription, isWaitedFor: (name: string) => boolean): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { name } of clusters.inFlight?.resources ?? []) {
    if (!clusters.held.has(name) && isWaitedFor(name)) names.add(name);
    if (names.size > MANY) return names;
  }
  for (const name of clusters.dirty) {
    if (!clusters.held.has(name) && clusters.isSubscribed(name) && isWaitedFor(name)) names.add(name);
    if (names.size > MANY) return names;
  }
  return names;
}

/**
 * Names stand in the bytes as they are, however deeply the message nests. One that stands there by chance only makes the
 * resource wait for a moment. Many names are not looked for: then everything waits.
 */
function namesAny(resource: EncodedResource, names: readonly string[]): boolean {
  if (names.length === 0 || names.length > MANY) return names.length > 0;
  const { bytes } = resource;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return names.some((name) => text.includes(name));
}

const MANY = 64;
/** Envoy says all that it has at once, in one request for each type. */
const SILENT_MS = 2000;
const NONE: ReadonlySet<string> = new Set();

const USERS: readonly XdsKind[] = ["listener", "route-configuration", "virtual-host"];

const NEVER = (): boolean => false;
const OPEN: Gate = { mayAdd: () => true, mayRemove: () => true };
