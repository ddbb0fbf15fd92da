import type { XdsKind, XdsResource } from "../resources.ts";
import { type EncodedResource, encode } from "./encoded.ts";

/** All that a group of clients may have, by kind and name. Immutable. */
export type Snapshot = Readonly<Record<XdsKind, ReadonlyMap<string, EncodedResource>>>;

/** Encodes what changed; a resource whose bytes are those of `previous` keeps its object, and a kind of which nothing has changed its map: clients share it. */
export function snapshotOf(resources: readonly XdsResource[], previous: Snapshot = EMPTY): Snapshot {
  return snapshotOfLists(
    Map.groupBy(resources, ({ kind }) => kind),
    previous,
  );
}

/** As `snapshotOf`, of lists of one kind each: one that is the same list as before is not looked at. */
export function snapshotOfLists(
  lists: ReadonlyMap<XdsKind, readonly XdsResource[]>,
  previous: Snapshot = EMPTY,
): Snapshot {
  const snapshot: Partial<Record<XdsKind, ReadonlyMap<string, EncodedResource>>> = {};
  for (const kind of KINDS) {
    const list = lists.get(kind) ?? [];
    const map = encodedOf(list, previous[kind]);
    MADE_OF.set(map, list);
    snapshot[kind] = map;
  }
  return snapshot as Snapshot;
}

function encodedOf(list: readonly XdsResource[], previous: Snapshot[XdsKind]): Snapshot[XdsKind] {
  const other = differing(list, MADE_OF.get(previous));
  if (other?.length === 0) return previous;
  const isInPlace = other !== null;
  const changed = other ?? list;
  const map = new Map<string, EncodedResource>(isInPlace ? previous : []);
  let isSame = isInPlace || previous.size === list.length;
  for (const resource of changed) {
    const { name, from } = resource;
    const before = previous.get(name);
    const now = encode(resource);
    const isAsBefore =
      before === now || (before?.version === now.version && before.from.join() === from.join());
    map.set(name, isAsBefore && before !== undefined ? before : now);
    isSame &&= isAsBefore;
  }
  if (isSame) return previous;
  // Who has looked at all names need not look again.
  if (isInPlace) NAMES.set(map, namesOf(previous));
  return map;
}

/** What is another object than in `made`, which has the same names in the same order: the rule where the world is large. Null: it has not. */
function differing(
  list: readonly XdsResource[],
  made: readonly XdsResource[] | undefined,
): readonly XdsResource[] | null {
  if (made?.length !== list.length) return null;
  const different: XdsResource[] = [];
  if (list === made) return different;
  // Ten thousand at each change: no pair is made of each.
  for (let at = 0; at < list.length; at++) {
    const resource = list[at] as XdsResource;
    const before = made[at] as XdsResource;
    if (resource === before) continue;
    if (resource.name !== before.name) return null;
    different.push(resource);
  }
  return different;
}

/** The resources that a kind's map was made of. */
const MADE_OF = new WeakMap<ReadonlyMap<string, EncodedResource>, readonly XdsResource[]>();

/** One set for all clients that are to look at everything: a hundred that wait for their turn have ten thousand names once. */
export function namesOf(published: Snapshot[XdsKind]): ReadonlySet<string> {
  let names = NAMES.get(published);
  if (names === undefined) {
    names = new Set(published.keys());
    NAMES.set(published, names);
  }
  return names;
}

const NAMES = new WeakMap<Snapshot[XdsKind], ReadonlySet<string>>();

/** Names that differ between two snapshots, by kind. Resources are compared as objects: `snapshotOf` keeps what is the same. */
export function changesBetween(before: Snapshot, after: Snapshot): Changes {
  const changes: Partial<Record<XdsKind, string[]>> = {};
  for (const kind of KINDS) {
    if (before[kind] === after[kind]) continue;
    const names: string[] = [];
    const [then, now] = [before[kind], after[kind]];
    // Not `for`: it makes a pair of each.
    now.forEach((encoded, name) => {
      if (then.get(name) !== encoded) names.push(name);
    });
    then.forEach((_, name) => {
      if (!now.has(name)) names.push(name);
    });
    if (names.length > 0) changes[kind] = names;
  }
  return changes;
}

export type Changes = Readonly<Partial<Record<XdsKind, readonly string[]>>>;

/** In the order in which a client must learn of them: what is named comes before what names it (make before break). */
export const KINDS: readonly XdsKind[] = [
  // A cluster or listener that names a secret warms until it is there.
  "secret",
  // A route to a cluster that is not there answers 503.
  "cluster",
  "endpoints",
  // A listener asks for its route configurations itself.
  "listener",
  "route-configuration",
  // Envoy drops virtual hosts of a route configuration that it does not know.
  "virtual-host",
];

function emptyMaps(): Record<XdsKind, Map<string, EncodedResource>> {
  return {
    secret: new Map(),
    cluster: new Map(),
    endpoints: new Map(),
    listener: new Map(),
    "route-configuration": new Map(),
    "virtual-host": new Map(),
  };
}

export const EMPTY: Snapshot = emptyMaps();
