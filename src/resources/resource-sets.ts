import { difference } from "./difference.ts";
import type { AnyResource } from "./kinds.ts";
import { identityOf } from "./namesakes.ts";
import { byNamespaceAndName } from "./resource.ts";
import { createResourceSet, type ResourceSet, type SettledSet, unwrapped } from "./resource-set.ts";

/**
 * ResourceSets one after the other. Where single objects have changed, that were and are the only ones of their names, the set
 * before is changed in their places alone, and lists that they are not in stay the same lists. It changes nothing but time.
 */
export class ResourceSets {
  #last: { objects: readonly AnyResource[]; identities: Set<string>; set: SettledSet } | null = null;

  of(objects: readonly AnyResource[]): SettledSet {
    const last = this.#last;
    if (last !== null) {
      const { gone, come } = difference(last.objects, objects);
      if (gone.length + come.length === 0) return last.set;
      const resources = changed(last, gone.flatMap(unwrapped), come.flatMap(unwrapped));
      if (resources !== null) {
        const set = { resources, diagnostics: [] };
        this.#last = { objects, identities: last.identities, set };
        return set;
      }
    }
    const set = createResourceSet(objects);
    const identities = new Set(objects.flatMap(unwrapped).map(identityOf));
    this.#last = { objects, identities, set };
    return set;
  }
}

/** Null where that takes more: several of one name, before or now, or a kind that shares its list. What is known is of no use then. */
function changed(
  { identities, set }: { identities: Set<string>; set: SettledSet },
  gone: readonly AnyResource[],
  come: readonly AnyResource[],
): ResourceSet | null {
  // Whatever was repeated has been said.
  if (set.diagnostics.length > 0) return null;
  for (const object of gone) identities.delete(identityOf(object));
  for (const object of come) {
    const identity = identityOf(object);
    if (identities.has(identity)) return null;
    identities.add(identity);
  }
  const resources: Writable<ResourceSet> = { ...set.resources };
  for (const kind of new Set([...gone, ...come].map((object) => object.kind))) {
    const list = LISTS[kind];
    if (list === undefined) return null;
    const out = new Set<AnyResource>(gone);
    const added = come.filter((object) => object.kind === kind).sort(byNamespaceAndName);
    Object.assign(resources, { [list]: merged(resources[list], out, added) });
  }
  return resources;
}

/** Of two lists in order one, without those in `out`. Made in one piece: many are ten thousand, and each change makes the list anew. */
function merged(
  many: readonly AnyResource[],
  out: ReadonlySet<AnyResource>,
  few: readonly AnyResource[],
): AnyResource[] {
  const places = few.map((object) => placeIn(many, object));
  const all = new Array<AnyResource>(many.length + few.length);
  let length = 0;
  let next = 0;
  for (let at = 0; at <= many.length; at++) {
    for (; places[next] === at; next++) all[length++] = few[next] as AnyResource;
    const object = many[at];
    if (object !== undefined && !out.has(object)) all[length++] = object;
  }
  all.length = length;
  return all;
}

/** Behind whatever it may follow. */
function placeIn(many: readonly AnyResource[], object: AnyResource): number {
  let [low, high] = [0, many.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (byNamespaceAndName(many[middle] as AnyResource, object) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Kinds with a list of their own, of which a name has one. */
const LISTS: Readonly<Record<string, keyof ResourceSet>> = {
  Mapping: "mappings",
  TCPMapping: "tcpMappings",
  TLSContext: "tlsContexts",
  Host: "hosts",
};
