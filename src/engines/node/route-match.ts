import { RE2JS } from "re2js";
import type { FieldMatch, RouteMatch, TextMatch } from "../../model/route.ts";
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

/** All that a match asks for beside path and exact host; an empty list holds for every request. */
export function conditionsOf(match: RouteMatch): readonly Condition[] {
  const conditions: Condition[] = [];
  const { hostPattern, method } = match;
  if (hostPattern !== undefined) {
    const pattern = RE2JS.compile(hostPattern, RE2JS.CASE_INSENSITIVE);
    conditions.push(({ host }) => pattern.testExact(host));
  }
  if (method !== undefined) {
    const test = textTest(method);
    conditions.push((request) => test(request.method));
  }
  for (const field of match.headers ?? []) conditions.push(headerCondition(field));
  for (const parameter of match.query ?? []) {
    const test = textTest(parameter);
    conditions.push(({ query }) => {
      const value = queryValue(query, parameter.name);
      return value !== null && test(value);
    });
  }
  return conditions;
}

/** The whole text must match. */
export function textTest(match: TextMatch): (text: string) => boolean {
  if (match.kind === "present") return () => true;
  const { value } = match;
  if (match.kind === "exact") return (text) => text === value;
  const pattern = RE2JS.compile(value);
  return (text) => pattern.testExact(text);
}

function headerCondition(field: FieldMatch): Condition {
  const test = textTest(field);
  // Envoy's own name for Host, which its users write too.
  if (field.name === ":authority" || field.name === "host") return ({ host }) => test(host);
  return ({ fields }) => {
    const value = headerValue(fields, field.name);
    return value !== null && test(value);
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
export function queryValue(query: string, name: string): string | null {
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
