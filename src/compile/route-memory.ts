import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Route } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import type { RoutesInput } from "./routes-input.ts";
import type { MatchedMapping } from "./route-order.ts";

/** What was made, and what there was to say about it. */
export interface Found<Value> {
  readonly value: Value;
  readonly diagnostics: readonly Diagnostic[];
}

export interface MadeRoute {
  readonly route: Route | null;
  readonly clusters: readonly Cluster[];
}

/**
 * What an earlier compile made of Mappings, by the objects themselves: the same objects in the same surroundings make the
 * same again, so one changed Mapping among ten thousand costs little. It changes nothing but time.
 */
export class RouteMemory {
  #surroundings = "";
  #matches = new WeakMap<MappingResource, Found<MatchedMapping | null>>();
  #routes = new WeakMap<MatchedMapping, { members: readonly MatchedMapping[]; made: Found<MadeRoute> }>();

  /** Forgets everything when anything but the Mappings is not as it was. */
  enter({ mappings: _, contexts, resolvers, ...rest }: RoutesInput): void {
    const seen = [...contexts.values()].map(({ resource, ...context }) => [resource.spec.sni, context]);
    const surroundings = JSON.stringify([seen, [...resolvers], rest]);
    if (surroundings === this.#surroundings) return;
    this.#surroundings = surroundings;
    this.#matches = new WeakMap();
    this.#routes = new WeakMap();
  }

  match(mapping: MappingResource, make: () => Found<MatchedMapping | null>): Found<MatchedMapping | null> {
    let found = this.#matches.get(mapping);
    if (found === undefined) {
      found = make();
      this.#matches.set(mapping, found);
    }
    return found;
  }

  route(members: readonly MatchedMapping[], make: () => Found<MadeRoute>): Found<MadeRoute> {
    const [first] = members as [MatchedMapping];
    const known = this.#routes.get(first);
    if (
      known !== undefined &&
      known.members.length === members.length &&
      known.members.every((member, index) => member === members[index])
    )
      return known.made;
    const made = make();
    this.#routes.set(first, { members, made });
    return made;
  }
}
