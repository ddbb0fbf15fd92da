import type { RouteMatch } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";

/** A Mapping with the match that was made of it. */
export interface MatchedMapping {
  readonly mapping: MappingResource;
  readonly match: RouteMatch;
  readonly closedBy: string | null;
  /** Of its group: all that decides the match, and the precedence. */
  readonly group: string;
  readonly place: Place;
}

/**
 * One that may take less than its match says, and is closed, stands by itself behind all that have its path: it takes
 * nothing from them, and what is meant for it does not fall to a shorter path.
 */
export function placed(
  mapping: MappingResource,
  match: RouteMatch,
  { closedBy, mayBeNarrower }: { readonly closedBy: string | null; readonly mayBeNarrower: boolean },
): MatchedMapping {
  const alone = mayBeNarrower ? [mapping.namespace, mapping.name] : [];
  const group = JSON.stringify([match, mapping.spec.precedence ?? 0, ...alone]);
  const place = placeOf(mapping);
  return {
    mapping,
    match,
    closedBy,
    group,
    place: mayBeNarrower ? { ...place, headerLength: -1, queryLength: -1, prefix: "" } : place,
  };
}

/**
 * Mappings with one match form a group (reference §2.5.4, with all that decides the match in its identity, design §5);
 * groups stand in 1.14's order. Of a group the first that is written decides where.
 */
export function orderedGroups(mappings: readonly MatchedMapping[]): MatchedMapping[][] {
  const groups = new Map<string, MatchedMapping[]>();
  for (const matched of mappings) {
    const members = groups.get(matched.group);
    if (members === undefined) groups.set(matched.group, [matched]);
    else members.push(matched);
  }
  return [...groups.values()].sort(([a], [b]) => compareGroups(a as MatchedMapping, b as MatchedMapping));
}

/** Of members of two groups. */
export function compareGroups(a: MatchedMapping, b: MatchedMapping): number {
  return comparePlaces(a.place, b.place) || (a.group < b.group ? 1 : -1);
}

/** The sort key of reference §2.5.3. */
export interface Place {
  readonly precedence: number;
  readonly prefixLength: number;
  readonly headerLength: number;
  readonly queryLength: number;
  readonly prefix: string;
  /** Where all of the above is equal: an exact path comes first, as it takes less. */
  readonly isExact: boolean;
  readonly keys: string;
}

function placeOf({ spec }: MappingResource): Place {
  const headers = [
    ...constraints(spec.headers, false),
    ...constraints(spec.regex_headers, true),
    ...constraint(":authority", spec.host?.toLowerCase(), spec.host_regex === true),
    ...constraint(":method", spec.method, spec.method_regex === true),
  ];
  const queries = [
    ...constraints(spec.query_parameters, false),
    ...constraints(spec.regex_query_parameters, true),
  ];
  const total = (list: readonly Constraint[]): number => list.reduce((sum, { length }) => sum + length, 0);
  return {
    precedence: spec.precedence ?? 0,
    prefixLength: spec.prefix.length,
    headerLength: total(headers),
    queryLength: total(queries),
    prefix: spec.prefix,
    isExact: spec.prefix_exact === true,
    keys: [...headers, ...queries].map(({ key }) => key).join("\n"),
  };
}

function comparePlaces(a: Place, b: Place): number {
  return (
    b.precedence - a.precedence ||
    b.prefixLength - a.prefixLength ||
    b.headerLength - a.headerLength ||
    b.queryLength - a.queryLength ||
    descending(a.prefix, b.prefix) ||
    Number(b.isExact) - Number(a.isExact) ||
    descending(a.keys, b.keys)
  );
}

interface Constraint {
  readonly key: string;
  readonly length: number;
}

/** A map of names to values, of which `true` asks for presence alone. */
function constraints(
  map: Readonly<Record<string, string | boolean>> | undefined,
  isRegex: boolean,
): Constraint[] {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => -descending(a, b))
    .flatMap(([name, value]) => constraint(name, typeof value === "string" ? value : "*", isRegex));
}

function constraint(name: string, value: string | undefined, isRegex: boolean): Constraint[] {
  if (value === undefined) return [];
  return [{ key: `${name}-${value}`, length: name.length + value.length + (isRegex ? 1 : 0) }];
}

/** Within a group Mappings stand in the order of their names, as 1.14 processes them. */
export function byMemberName({ mapping: a }: MatchedMapping, { mapping: b }: MatchedMapping): number {
  return -descending(`${a.name}.${a.namespace}`, `${b.name}.${b.namespace}`);
}

function descending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0;
}
