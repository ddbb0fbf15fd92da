import { RE2JS } from "re2js";
import type { PathMatch, RouteMatch, TextMatch } from "../../model/route.ts";
import { FIELD, type FieldLines } from "./http1/fields.ts";

/** What a route may look at beside the path. */
export interface MatchedRequest {
  readonly method: string;
  /** In lower case, as the Module wants it compared. */
  readonly host: string;
  readonly fields: FieldLines;
  /** With its `?`, or empty. */
  readonly query: string;
}

export type Condition = (request: MatchedRequest) => boolean;

/** One thing that a match asks for beside its path and exact host. */
export interface Constraint {
  readonly on: "host" | "method" | "header" | "query";
  /** Of the header or the query parameter. */
  readonly name?: string;
  readonly wanted: TextMatch;
  readonly test: Condition;
  /** What the request has in this place, null where it has nothing; only explanations ask. */
  readonly got: (request: MatchedRequest) => string | null;
}

/** The tests of all constraints; an empty list holds for every request. */
export function conditionsOf(match: RouteMatch): readonly Condition[] {
  return constraintsOf(match).map(({ test }) => test);
}

/** All that a match asks for beside path and exact host, in the order in which it is tested. */
export function constraintsOf(match: RouteMatch): readonly Constraint[] {
  const constraints: Constraint[] = [];
  const { hostPattern, method } = match;
  if (hostPattern !== undefined) {
    const pattern = RE2JS.compile(hostPattern, RE2JS.CASE_INSENSITIVE);
    constraints.push({
      on: "host",
      wanted: { kind: "regex", value: hostPattern },
      test: ({ host }) => pattern.testExact(host),
      got: ({ host }) => host,
    });
  }
  if (method !== undefined) {
    const test = textTest(method);
    constraints.push({
      on: "method",
      wanted: method,
      test: (request) => test(request.method),
      got: (request) => request.method,
    });
  }
  for (const { name, ...wanted } of match.headers ?? [])
    constraints.push({ on: "header", name, wanted, ...headerTest(name, textTest(wanted)) });
  for (const { name, ...wanted } of match.query ?? []) {
    const test = textTest(wanted);
    constraints.push({
      on: "query",
      name,
      wanted,
      test: ({ query }) => {
        const value = queryValue(query, name);
        return value !== null && test(value);
      },
      got: ({ query }) => queryValue(query, name),
    });
  }
  return constraints;
}

/** The path in the form that is matched, without its query. */
export function pathTest({ kind, value, ignoreCase }: PathMatch): (path: string) => boolean {
  if (kind === "regex") {
    const pattern = RE2JS.compile(value, ignoreCase === true ? RE2JS.CASE_INSENSITIVE : 0);
    return (path) => pattern.testExact(path);
  }
  const folded = ignoreCase === true ? value.toLowerCase() : value;
  const fold = (path: string): string => (ignoreCase === true ? path.toLowerCase() : path);
  return kind === "exact" ? (path) => fold(path) === folded : (path) => fold(path).startsWith(folded);
}

/** The whole text must match. */
function textTest(match: TextMatch): (text: string) => boolean {
  if (match.kind === "present") return () => true;
  const { value } = match;
  if (match.kind === "exact") return (text) => text === value;
  const pattern = RE2JS.compile(value);
  return (text) => pattern.testExact(text);
}

function headerTest(name: string, test: (text: string) => boolean): Pick<Constraint, "test" | "got"> {
  // Envoy's own name for Host, which its users write too.
  if (name === ":authority" || name === "host")
    return { test: ({ host }) => test(host), got: ({ host }) => host };
  return {
    test: ({ fields }) => {
      const value = headerValue(fields, name);
      return value !== null && test(value);
    },
    got: ({ fields }) => headerValue(fields, name),
  };
}

/** The values of a header, put together as RFC 9110 §5.3 allows; null where it is absent. */
export function headerValue(fields: FieldLines, name: string): string | null {
  let found: string | null = null;
  for (let index = 0; index < fields.count; index++) {
    const id = fields.id[index];
    const length = (fields.nameEnd[index] as number) - (fields.nameStart[index] as number);
    // What only the gateway may assert is not there, whoever sent it.
    const isAsserted = id === FIELD.asserted || id === FIELD.clientCertificate;
    if (length !== name.length || isAsserted || fields.name(index) !== name) continue;
    found = found === null ? fields.value(index) : `${found},${fields.value(index)}`;
  }
  return found;
}

/** The first value of a query parameter, as it was sent; null where it is absent. */
function queryValue(query: string, name: string): string | null {
  let at = 1;
  while (at <= query.length) {
    const next = query.indexOf("&", at);
    const end = next === -1 ? query.length : next;
    if (query.startsWith(name, at)) {
      const after = at + name.length;
      if (after === end) return "";
      if (query[after] === "=") return query.slice(after + 1, end);
    }
    at = end + 1;
  }
  return null;
}
