import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Route } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import { KnownOrder } from "./known-order.ts";
import type { RoutesInput } from "./routes-input.ts";
import type { MatchedMapping } from "./route-order.ts";
import type { CompiledContext } from "./tls-contexts.ts";

/** What was made, and what there was to say about it. */
export interface Found<Value> {
  readonly value: Value;
  readonly diagnostics: readonly Diagnostic[];
}

export interface MadeRoute {
  readonly route: Route | null;
  readonly clusters: readonly Cluster[];
}

type Contexts = ReadonlyMap<string, CompiledContext>;

/**
 * What an earlier compile made of Mappings and TLSContexts, by the objects themselves: the same objects in the same surroundings make
 * the same again, so one changed Mapping among ten thousand costs little. It changes nothing but time.
 */
export class CompileMemory {
  readonly groups: KnownOrder<MatchedMapping[]> = new KnownOrder();
  readonly clusters: KnownOrder<Cluster> = new KnownOrder();
  #contexts: { of: readonly TlsContextResource[]; key: string; found: Found<Contexts> } | null = null;
  #surroundings = "";
  #matches = new WeakMap<MappingResource, Found<MatchedMapping | null>>();
  #routes = new WeakMap<MatchedMapping, { members: readonly MatchedMapping[]; made: Found<MadeRoute> }>();

  /** `key`: all that contexts are made from beside the resources; null: that is not known. */
  contexts(
    of: readonly TlsContextResource[],
    key: string | null,
    make: () => Found<Contexts>,
  ): Found<Contexts> {
    const known = this.#contexts;
    if (key !== null && known?.key === key && isSame(known.of, of)) return known.found;
    const found = make();
    this.#contexts = key === null ? null : { of, key, found };
    return found;
  }

  /** Forgets everything of routes when anything but the Mappings is not as it was. */
  enter({ mappings: _, contexts, resolvers, ...rest }: RoutesInput): void {
    const seen = [...contexts.values()].map(textOf);
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
    if (known !== undefined && isSame(known.members, members)) return known.made;
    const made = make();
    this.#routes.set(first, { members, made });
    return made;
  }
}

/** What a context is to a Mapping that names it. */
function textOf(context: CompiledContext): string {
  const known = TEXTS.get(context);
  if (known !== undefined) return known;
  const { resource, ...rest } = context;
  const text = JSON.stringify([resource.spec.sni, rest]);
  TEXTS.set(context, text);
  return text;
}

const TEXTS = new WeakMap<CompiledContext, string>();

function isSame<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
