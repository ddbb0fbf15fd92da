import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Route } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import type { Found, MadeRoute } from "./found.ts";
import { byMemberName, compareGroups, type MatchedMapping, orderedGroups } from "./route-order.ts";
import { SortedClusters } from "./sorted-clusters.ts";

/** How Mappings are read, and routes made of those with one match. */
export interface GroupMakers {
  match(mapping: MappingResource): Found<MatchedMapping | null>;
  route(members: readonly MatchedMapping[]): Found<MadeRoute>;
}

interface Group {
  /** As the Mappings stand in their list: the first decides the place. */
  readonly written: readonly MatchedMapping[];
  readonly made: Found<MadeRoute>;
}

/**
 * The groups of one list of Mappings, in their order, with what was made of them. A list that differs in a few Mappings changes the
 * groups of these alone, in their places.
 */
export class GroupMemory {
  readonly clusters: SortedClusters = new SortedClusters();
  #mappings: readonly MappingResource[] = [];
  readonly #matches = new Map<MappingResource, Found<MatchedMapping | null>>();
  readonly #byKey = new Map<string, Group>();
  #ordered: Group[] = [];
  #routes: readonly Route[] | null = null;
  /** Mappings about whose match there was something to say. */
  readonly #spoken = new Set<MappingResource>();

  /** The list that the groups are of. */
  get mappings(): readonly MappingResource[] {
    return this.#mappings;
  }

  /** All groups, made of this list. */
  begin(mappings: readonly MappingResource[], makers: GroupMakers): void {
    this.#mappings = mappings;
    const matched = mappings.flatMap((mapping) => this.#match(mapping, makers) ?? []);
    this.#ordered = orderedGroups(matched).map((written) => this.#make(written, makers));
  }

  /** The list is `mappings` now: some are gone, some have come. */
  change(
    mappings: readonly MappingResource[],
    gone: readonly MappingResource[],
    come: readonly MappingResource[],
    makers: GroupMakers,
  ): void {
    this.#mappings = mappings;
    this.#routes = null;
    const out = new Set<MatchedMapping>();
    /** Those that have come, by the key of their group; none: somebody left it. */
    const touched = new Map<string, MatchedMapping[]>();
    for (const mapping of gone) {
      const matched = this.#matches.get(mapping)?.value ?? null;
      this.#matches.delete(mapping);
      this.#spoken.delete(mapping);
      if (matched === null) continue;
      out.add(matched);
      touched.set(matched.group, []);
    }
    for (const mapping of come) {
      const matched = this.#match(mapping, makers);
      if (matched === null) continue;
      const others = touched.get(matched.group);
      if (others === undefined) touched.set(matched.group, [matched]);
      else others.push(matched);
    }
    const emptied: Group[] = [];
    for (const [key, added] of touched) {
      const before = this.#byKey.get(key);
      const members = [...(before?.written.filter((member) => !out.has(member)) ?? []), ...added];
      if (before !== undefined) this.#takeOut(before);
      if (members.length > 0) this.#put(this.#make(this.#asWritten(members), makers));
      // Only now: a cluster that the next one names too stays the same object.
      if (before !== undefined) emptied.push(before);
    }
    for (const { made } of emptied) for (const cluster of made.value.clusters) this.clusters.remove(cluster);
  }

  /** In the order of their Mappings, then in that of the groups. */
  diagnostics(): Diagnostic[] {
    const said: Diagnostic[] = [];
    if (this.#spoken.size > 0)
      for (const mapping of this.#mappings)
        if (this.#spoken.has(mapping)) said.push(...(this.#matches.get(mapping)?.diagnostics ?? []));
    for (const { made } of this.#ordered) if (made.diagnostics.length > 0) said.push(...made.diagnostics);
    return said;
  }

  routes(): readonly Route[] {
    if (this.#routes === null) {
      // Of its length from the start: one that grows to ten thousand is copied two dozen times.
      const routes = new Array<Route>(this.#ordered.length);
      let length = 0;
      for (const { made } of this.#ordered)
        if (made.value.route !== null) routes[length++] = made.value.route;
      routes.length = length;
      this.#routes = routes;
    }
    return this.#routes;
  }

  #match(mapping: MappingResource, makers: GroupMakers): MatchedMapping | null {
    const found = makers.match(mapping);
    this.#matches.set(mapping, found);
    if (found.diagnostics.length > 0) this.#spoken.add(mapping);
    return found.value;
  }

  #make(written: readonly MatchedMapping[], makers: GroupMakers): Group {
    const made = makers.route(written.length === 1 ? written : written.toSorted(byMemberName));
    for (const cluster of made.value.clusters) this.clusters.add(cluster);
    const group = { written, made };
    const [first] = written as [MatchedMapping];
    this.#byKey.set(first.group, group);
    return group;
  }

  /** Members of one group in the order of the list. */
  #asWritten(members: readonly MatchedMapping[]): readonly MatchedMapping[] {
    if (members.length === 1) return members;
    const byMapping = new Map(members.map((member) => [member.mapping, member]));
    return this.#mappings.flatMap((mapping) => byMapping.get(mapping) ?? []);
  }

  #takeOut(group: Group): void {
    const [first] = group.written as [MatchedMapping];
    this.#byKey.delete(first.group);
    this.#ordered.splice(this.#placeOf(first), 1);
  }

  #put(group: Group): void {
    this.#ordered.splice(this.#placeOf(group.written[0] as MatchedMapping), 0, group);
  }

  /** Where the group with this first member stands, or would. */
  #placeOf(first: MatchedMapping): number {
    let [low, high] = [0, this.#ordered.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const [other] = (this.#ordered[middle] as Group).written as [MatchedMapping];
      if (other !== first && compareGroups(other, first) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
