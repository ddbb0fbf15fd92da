import type { MappingResource } from "../resources/mapping.ts";

/**
 * Mappings with one match form a group (reference §2.5.4, with what else is part of the match in its identity, design §5);
 * groups stand in 1.14's order. Within a group Mappings keep the order they come in.
 */
export function orderedGroups(mappings: readonly MappingResource[]): MappingResource[][] {
  const groups = new Map<string, { place: Place; members: MappingResource[] }>();
  for (const mapping of mappings) {
    const { prefix, host, precedence } = mapping.spec;
    const key = JSON.stringify([prefix, host?.toLowerCase() ?? null, precedence ?? 0, ...unread(mapping)]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { place: placeOf(mapping), members: [mapping] });
    else group.members.push(mapping);
  }
  return [...groups]
    .sort(([a, left], [b, right]) => comparePlaces(left.place, right.place) || (a < b ? 1 : -1))
    .map(([, { members }]) => members);
}

/** The sort key of reference §2.5.3. */
interface Place {
  readonly precedence: number;
  readonly prefixLength: number;
  readonly headerLength: number;
  readonly queryLength: number;
  readonly prefix: string;
  /** Where all of the above is equal: a match that is more than its prefix comes first, as it takes less. */
  readonly isNarrower: boolean;
  readonly keys: string;
}

function placeOf({ spec, unmatched }: MappingResource): Place {
  const headers = [
    ...constraints(unmatched.headers, false),
    ...constraints(unmatched.regex_headers, true),
    ...constraint(":authority", spec.host?.toLowerCase(), unmatched.host_regex === true),
    ...constraint(":method", unmatched.method, unmatched.method_regex === true),
  ];
  const queries = [
    ...constraints(unmatched.query_parameters, false),
    ...constraints(unmatched.regex_query_parameters, true),
  ];
  const total = (list: readonly Constraint[]): number => list.reduce((sum, { length }) => sum + length, 0);
  return {
    precedence: spec.precedence ?? 0,
    prefixLength: spec.prefix.length,
    headerLength: total(headers),
    queryLength: total(queries),
    prefix: spec.prefix,
    isNarrower: Object.keys(unmatched).length > 0,
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
    Number(b.isNarrower) - Number(a.isNarrower) ||
    descending(a.keys, b.keys)
  );
}

interface Constraint {
  readonly key: string;
  readonly length: number;
}

/** A map of names to values, of which `true` asks for presence alone. */
function constraints(map: unknown, isRegex: boolean): Constraint[] {
  if (typeof map !== "object" || map === null) return [];
  return Object.entries(map)
    .sort(([a], [b]) => -descending(a, b))
    .flatMap(([name, value]) => constraint(name, value === true ? "*" : value, isRegex));
}

function constraint(name: string, value: unknown, isRegex: boolean): Constraint[] {
  if (value === undefined || value === null) return [];
  // Nobody has judged its type: this field is what closes the Mapping.
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return [{ key: `${name}-${text}`, length: name.length + text.length + (isRegex ? 1 : 0) }];
}

function unread({ unmatched }: MappingResource): string[] {
  return Object.entries(unmatched)
    .sort(([a], [b]) => -descending(a, b))
    .map(([field, value]) => `${field}=${JSON.stringify(value)}`);
}

function descending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0;
}
