import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { pack } from "../../protobuf/any.ts";
import {
  type Route,
  RouteListSchema,
} from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { HttpRequestHeaderMatchInputSchema } from "../../protobuf/generated/envoy/type/matcher/v3/http_inputs_pb.js";
import type {
  Matcher_MatcherList_PredicateSchema,
  Matcher_MatcherTree_MatchMapSchema,
  Matcher_OnMatchSchema,
  MatcherSchema,
} from "../../protobuf/generated/xds/type/matcher/v3/matcher_pb.js";
import type { HeaderMatcher } from "./route-match.ts";
import type { RouteEntry } from "./routes.ts";

/** A virtual host's routes: as a list that is scanned, or as a tree that is looked up in. */
export type RouteTable =
  | { readonly routes: readonly Route[]; readonly matcher?: undefined }
  | { readonly matcher: MessageInitShape<typeof MatcherSchema> };

/**
 * The meaning is that of the list: the first route that matches takes the request. Where there are many, Envoy finds by
 * the longest known path that a request's begins with the few that may match it, in their order (a RouteList in which none
 * does is final: each holds all that can).
 */
export function routeTable(all: readonly RouteEntry[]): RouteTable {
  const list = { routes: all.map(({ message }) => message) };
  if (all.length <= SCANNED) return list;
  // Gates stand first, and once: not before each of the lists.
  const gates = all.filter(({ gate }) => gate !== undefined);
  const entries = all.filter(({ gate }) => gate === undefined);
  const index = new PathIndex(entries);
  const lists = new Map<string, readonly RouteEntry[]>();
  let size = 0;
  for (const path of index.paths()) {
    const found = index.below(path);
    lists.set(path, found);
    size += found.length;
    // Long lists of what may match anywhere under each of many paths: the tree would be larger than it is worth.
    if (size > entries.length * MAX_GROWTH + MAX_ADDED) return list;
  }
  if (lists.size === 0) return list;
  return { matcher: behindGates(gates, matcher(lists, index.elsewhere())) };
}

/** So few are as fast in a list. */
const SCANNED = 24;
const MAX_GROWTH = 4;
const MAX_ADDED = 2000;

/** Which routes can take the paths that begin with a known one, and with none that is longer. */
class PathIndex {
  readonly #prefixes = new Map<string, number[]>();
  readonly #exact = new Map<string, number[]>();
  /** By regular expression or without case: each may take paths of many beginnings. */
  readonly #floating: number[] = [];
  readonly #lengths: readonly number[];
  readonly #entries: readonly RouteEntry[];

  constructor(entries: readonly RouteEntry[]) {
    this.#entries = entries;
    for (const [order, { path }] of entries.entries()) {
      if (path.kind === "regex" || path.ignoreCase === true || path.value === "") this.#floating.push(order);
      else {
        const map = path.kind === "exact" ? this.#exact : this.#prefixes;
        const known = map.get(path.value);
        if (known === undefined) map.set(path.value, [order]);
        else known.push(order);
      }
    }
    this.#lengths = [...new Set([...this.#prefixes.keys()].map(({ length }) => length))];
  }

  /** Sorted. */
  paths(): readonly string[] {
    return [...new Set([...this.#prefixes.keys(), ...this.#exact.keys()])].sort();
  }

  below(path: string): readonly RouteEntry[] {
    const folded = path.toLowerCase();
    const orders = this.#floating.filter((order) => {
      const { kind, value } = (this.#entries[order] as RouteEntry).path;
      if (kind === "regex") return true;
      const other = value.toLowerCase();
      // Longer paths are below this one, too.
      return other.startsWith(folded) || (kind === "prefix" && folded.startsWith(other));
    });
    orders.push(...(this.#exact.get(path) ?? []));
    for (const length of this.#lengths) {
      if (length <= path.length) orders.push(...(this.#prefixes.get(path.slice(0, length)) ?? []));
    }
    return this.#reachable(orders, path);
  }

  /** What can take paths that begin with none of those known. */
  elsewhere(): readonly RouteEntry[] {
    return this.#reachable([...this.#floating], "");
  }

  /** In their order, up to the first that takes whatever begins with `path`. */
  #reachable(orders: number[], path: string): readonly RouteEntry[] {
    const found: RouteEntry[] = [];
    for (const order of orders.sort((a, b) => a - b)) {
      const entry = this.#entries[order] as RouteEntry;
      found.push(entry);
      if (entry.takesAll && entry.path.kind === "prefix" && startsWith(path, entry.path)) break;
    }
    return found;
  }
}

function startsWith(path: string, { value, ignoreCase }: RouteEntry["path"]): boolean {
  return ignoreCase === true ? path.toLowerCase().startsWith(value.toLowerCase()) : path.startsWith(value);
}

function matcher(
  lists: ReadonlyMap<string, readonly RouteEntry[]>,
  elsewhere: readonly RouteEntry[],
): MessageInitShape<typeof MatcherSchema> {
  const map: Record<string, MessageInitShape<typeof Matcher_OnMatchSchema>> = {};
  for (const [path, entries] of lists) map[path] = onMatch(entries);
  const paths: MessageInitShape<typeof Matcher_MatcherTree_MatchMapSchema> = { map };
  return {
    matcherType: {
      case: "matcherTree",
      value: {
        input: { name: "path", typedConfig: PATH },
        treeType: { case: "prefixMatchMap", value: paths },
      },
    },
    ...(elsewhere.length === 0 ? {} : { onNoMatch: onMatch(elsewhere) }),
  };
}

function behindGates(
  gates: readonly RouteEntry[],
  tree: MessageInitShape<typeof MatcherSchema>,
): MessageInitShape<typeof MatcherSchema> {
  if (gates.length === 0) return tree;
  const byGate = [...Map.groupBy(gates, ({ gate }) => gate as HeaderMatcher)];
  return {
    matcherType: {
      case: "matcherList",
      value: {
        matchers: byGate.map(([gate, entries]) => ({
          predicate: predicate(gate),
          onMatch: onMatch(entries),
        })),
      },
    },
    onNoMatch: { onMatch: { case: "matcher", value: tree } },
  };
}

type Predicate = MessageInitShape<typeof Matcher_MatcherList_PredicateSchema>;

/** A header that is absent meets no predicate, and so every inverted one: as gates treat it. */
function predicate({ name = "", headerMatchSpecifier: wanted, invertMatch }: HeaderMatcher): Predicate {
  if (wanted?.case !== "stringMatch") throw new TypeError(`a gate compares text, and ${name} does not`);
  const { matchPattern, ignoreCase = false } = wanted.value;
  const single: Predicate = {
    matchType: {
      case: "singlePredicate",
      value: {
        input: { name: "header", typedConfig: headerInput(name) },
        matcher: {
          case: "valueMatch",
          value:
            matchPattern?.case === "safeRegex"
              ? {
                  matchPattern: {
                    case: "safeRegex",
                    value: {
                      regex: matchPattern.value.regex ?? "",
                      engineType: { case: "googleRe2", value: {} },
                    },
                  },
                }
              : { matchPattern: { case: "exact", value: String(matchPattern?.value ?? "") }, ignoreCase },
        },
      },
    },
  };
  return invertMatch === true ? { matchType: { case: "notMatcher", value: single } } : single;
}

function onMatch(entries: readonly RouteEntry[]): MessageInitShape<typeof Matcher_OnMatchSchema> {
  return {
    onMatch: {
      case: "action",
      value: { name: "routes", typedConfig: packRoutes(entries.map(({ message }) => message)) },
    },
  };
}

function packRoutes(routes: readonly Route[]): Any {
  return pack(RouteListSchema, create(RouteListSchema, { routes: [...routes] }));
}

/** The path with its query: a known path has no `?`, so the query changes nothing. */
const PATH: Any = headerInput(":path");

function headerInput(headerName: string): Any {
  return pack(HttpRequestHeaderMatchInputSchema, create(HttpRequestHeaderMatchInputSchema, { headerName }));
}
