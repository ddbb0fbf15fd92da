import type { XdsKind } from "../resources.ts";
import { isLate } from "./late-revision.ts";
import type { AdsClient, AdsKindState, AdsNack, NackOutcome } from "./client.ts";
import type { Session } from "./session.ts";
import { KINDS, namesOf, type Snapshot } from "./snapshot.ts";
import type { Subscription } from "./subscription.ts";

export interface ClientOptions {
  readonly node: string;
  readonly group: string;
  readonly identity: string;
  readonly protocol: AdsClient["protocol"];
  readonly software: string;
  readonly connectedSince: number;
}

/** A client while its stream is open. */
export class ConnectedClient {
  readonly options: ClientOptions;
  readonly session: Session;
  /** As it is whenever it is read. Made once: it is asked for after each answer of each of a hundred clients, and most readers want to know one thing of it. */
  readonly state: AdsClient;
  /** The newest label at which everything was settled. */
  #revision: string | null = null;
  /** What was found when all that is published of a kind was looked at last. */
  readonly #askedForAll = new Map<XdsKind, { names: ReadonlySet<string>; asks: number; answer: boolean }>();

  /** `published`: what its group is served. */
  constructor(options: ClientOptions, session: Session, published: () => Snapshot | null) {
    this.options = options;
    this.session = session;
    this.state = this.#state(published);
  }

  /** Notes what the client has by now; to be called after each answer and each publication. */
  note(snapshot: Snapshot | null): void {
    if (snapshot !== null && this.isSettled(snapshot)) this.#revision = this.session.label;
  }

  /**
   * Between the answer about a new listener or cluster and the question for its routes and secrets there is a moment in which
   * nothing waits. One that was refused asks for nothing.
   */
  isSettled(snapshot: Snapshot): boolean {
    const { session } = this;
    if (!session.isSettled) return false;
    const [listeners, clusters] = [session.get("listener"), session.get("cluster")];
    if (listeners?.wildcard !== true || listeners.refusals.size > 0) return true;
    if (!this.#hasAskedForAll(snapshot, "route-configuration")) return false;
    if (clusters?.wildcard !== true || clusters.refusals.size > 0 || session.hasClosed) return true;
    return this.#hasAskedForAll(snapshot, "secret");
  }

  /** Asked after each answer of each client, so a thousand names are looked at only when they, or what is asked for, have changed. */
  #hasAskedForAll(snapshot: Snapshot, kind: XdsKind): boolean {
    const subscription = this.session.get(kind);
    const published = snapshot[kind];
    if (subscription === undefined) return published.size === 0;
    const { asks } = subscription;
    const names = namesOf(published);
    const known = this.#askedForAll.get(kind);
    if (known?.names === names && known.asks === asks) return known.answer;
    const answer = isSubset(names, subscription);
    this.#askedForAll.set(kind, { names, asks, answer });
    return answer;
  }

  #state(published: () => Snapshot | null): AdsClient {
    const client = this;
    return {
      ...this.options,
      get sent() {
        return { ...client.session.sent };
      },
      get revision() {
        return client.#revision;
      },
      get isSettled() {
        const snapshot = published();
        return snapshot !== null && client.isSettled(snapshot);
      },
      get kinds() {
        return client.#kinds();
      },
      get nacks() {
        return client.#nacks();
      },
    };
  }

  #kinds(): AdsClient["kinds"] {
    const kinds: Partial<Record<XdsKind, AdsKindState>> = {};
    for (const kind of KINDS) {
      const subscription = this.session.get(kind);
      if (subscription === undefined) continue;
      kinds[kind] = {
        subscribed: subscription.wildcard ? "*" : subscription.names.size,
        acknowledged: subscription.held,
        pending: subscription.pending,
      };
    }
    return kinds;
  }

  #nacks(): AdsNack[] {
    return KINDS.flatMap((kind) => {
      const subscription = this.session.get(kind);
      const refusals = this.session.refusals(kind);
      if (subscription === undefined || refusals.length === 0) return NONE;
      return refusals.flatMap((refusal): AdsNack[] => {
        const { name, version, at, resource, mended } = refusal;
        const left: NackOutcome = subscription.held.has(name) ? "last-good" : "nothing";
        const found =
          mended === undefined || mended.culprits.length === 0
            ? [{ name: null, detail: refusal.detail, instead: mended?.host ?? left }]
            : mended.culprits;
        return found.map((culprit) => ({
          kind,
          name,
          version,
          detail: culprit.detail,
          at,
          from: culprit.name === null || culprit.name === "" ? resource.from : [culprit.name],
          instead: culprit.instead,
        }));
      });
    });
  }
}

const NONE: readonly AdsNack[] = [];

function isSubset(names: Iterable<string>, subscription: Subscription): boolean {
  // Listeners of HTTP alone ask for the revision: who has none, and a client that needs no access log, have all without it.
  for (const name of names) if (!isLate(name) && !subscription.isSubscribed(name)) return false;
  return true;
}
