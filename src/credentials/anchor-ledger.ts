import type { Clock } from "../telemetry/clock.ts";
import type { CredentialReader } from "./credential.ts";

/** Somebody was verified: which CA of which bundle vouched, and where. */
export interface AnchorSighting {
  /** Which side the peer is on. */
  readonly direction: "upstream" | "client";
  /** A cluster's name, or a listener's. */
  readonly place: string;
  /** The bundle's name in the credential store. */
  readonly trust: string;
  /** SHA-256 of the CA's certificate. */
  readonly anchor: string;
  /** SPIFFE ID, subject or name. */
  readonly peer: string;
}

export type AnchorSink = (sighting: AnchorSighting) => void;

/** Times in milliseconds since the epoch. */
export interface Seen {
  handshakes: number;
  readonly first: number;
  last: number;
}

/** One place and bundle: what vouched there, in all and for each peer. */
export interface PlaceSightings {
  readonly direction: AnchorSighting["direction"];
  readonly place: string;
  readonly trust: string;
  /** By SHA-256 of the CA. */
  readonly anchors: ReadonlyMap<string, Readonly<Seen>>;
  readonly peers: ReadonlyMap<string, ReadonlyMap<string, Readonly<Seen>>>;
  /** Handshakes of peers that there was no room for: they count above alone. */
  readonly unlisted: number;
}

/**
 * Which CAs live handshakes chain to, for who wants to take one away. In memory and bounded: of places and CAs the one that was not
 * seen for longest is forgotten, of peers there is no room for, how often. What was before this process began is not known.
 */
export class AnchorLedger {
  readonly observedSince: number;
  readonly #clock: Clock;
  readonly #places = new Map<string, Place>();
  /** When this process first had each CA, by bundle. */
  readonly #since = new Map<string, ReadonlyMap<string, number>>();
  #forgottenPlaces = 0;
  #peers = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.observedSince = clock.now();
  }

  /** How many made room for others. */
  get forgottenPlaces(): number {
    return this.#forgottenPlaces;
  }

  get places(): Iterable<PlaceSightings> {
    return this.#places.values();
  }

  /** Bound, so that it may be handed to an engine. */
  readonly saw: AnchorSink = ({ direction, place, trust, anchor, peer }) => {
    const key = `${direction} ${trust} ${place}`;
    let known = this.#places.get(key);
    if (known === undefined) {
      if (this.#places.size >= MOST_PLACES) this.#forget();
      known = { direction, place, trust, anchors: new Map(), peers: new Map(), unlisted: 0 };
      this.#places.set(key, known);
    }
    const now = this.#clock.now();
    note(known.anchors, anchor, now);
    const ofPeer = known.peers.get(peer);
    if (ofPeer !== undefined) note(ofPeer, anchor, now);
    else if (this.#peers >= MOST_PEERS) known.unlisted++;
    else {
      this.#peers++;
      known.peers.set(peer, note(new Map(), anchor, now));
    }
  };

  #forget(): void {
    const last = ({ anchors }: Place): number => Math.max(...[...anchors.values()].map((seen) => seen.last));
    let oldest: { readonly key: string; readonly place: Place; readonly last: number } | undefined;
    for (const [key, place] of this.#places)
      if (oldest === undefined || last(place) < oldest.last) oldest = { key, place, last: last(place) };
    if (oldest === undefined) return;
    this.#places.delete(oldest.key);
    this.#peers -= oldest.place.peers.size;
    this.#forgottenPlaces++;
  }

  /** Remembers since when each CA is in its bundle, and forgets those that are not, from now until the store is closed. */
  follow(store: CredentialReader): void {
    store.onChange(({ kind, name }) => {
      if (kind !== "trust") return;
      const facts = store.trust(name)?.facts ?? [];
      const before = this.#since.get(name);
      const now = this.#clock.now();
      this.#since.set(name, new Map(facts.map(({ sha256 }) => [sha256, before?.get(sha256) ?? now])));
    });
  }

  /** Since when this process has had the CA in the bundle; undefined: it has not. */
  since(trust: string, anchor: string): number | undefined {
    return this.#since.get(trust)?.get(anchor);
  }
}

interface Place extends PlaceSightings {
  readonly anchors: Map<string, Seen>;
  readonly peers: Map<string, Map<string, Seen>>;
  unlisted: number;
}

function note(anchors: Map<string, Seen>, anchor: string, now: number): Map<string, Seen> {
  const seen = anchors.get(anchor);
  if (seen !== undefined) {
    seen.handshakes++;
    seen.last = now;
    return anchors;
  }
  // A new CA must never be missing: who drops the one before would be told that nobody is left of it.
  if (anchors.size >= MOST_ANCHORS) forgetLongestUnseen(anchors);
  return anchors.set(anchor, { handshakes: 1, first: now, last: now });
}

function forgetLongestUnseen(anchors: Map<string, Seen>): void {
  let oldest: readonly [string, Seen] | undefined;
  for (const entry of anchors) if (oldest === undefined || entry[1].last < oldest[1].last) oldest = entry;
  if (oldest !== undefined) anchors.delete(oldest[0]);
}

const MOST_PLACES = 2000;
/** Of all places. */
const MOST_PEERS = 20_000;
/** Of one place or peer, since the start: CAs that were dropped stay in the count, but for those that were not seen for longest. */
const MOST_ANCHORS = 100;
