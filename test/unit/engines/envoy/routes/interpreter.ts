import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { RE2JS } from "re2js";
import {
  type HeaderMatcher,
  type QueryParameterMatcher,
  type Route,
  RouteListSchema,
  type VirtualHost,
} from "../../../../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import type { StringMatcher } from "../../../../../src/protobuf/generated/envoy/type/matcher/v3/string_pb.js";
import { HttpRequestHeaderMatchInputSchema } from "../../../../../src/protobuf/generated/envoy/type/matcher/v3/http_inputs_pb.js";
import type {
  Matcher,
  Matcher_MatcherList_Predicate,
  Matcher_OnMatch,
} from "../../../../../src/protobuf/generated/xds/type/matcher/v3/matcher_pb.js";

/** What Envoy's router looks at, after its connection manager: no final dot at the host, header names in lower case. */
export interface EnvoyRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly authority: string;
  readonly headers: ReadonlyMap<string, string>;
  /** The stream's one random draw, from 0 to 999,999. */
  readonly draw: number;
}

/** The route that Envoy takes, by its documented rules, as far as translation makes use of them; null: 404. */
export function findRoute(hosts: readonly VirtualHost[], request: EnvoyRequest): Route | null {
  const host = findVirtualHost(hosts, request.authority);
  if (host === null) return null;
  if (host.matcher !== undefined) {
    assert.equal(host.routes.length, 0, "a virtual host has routes or a matcher");
    return evaluate(host.matcher, request);
  }
  return host.routes.find((route) => matches(route, request)) ?? null;
}

/** Exact, then the longest `*.suffix`, then `*`; ports are ignored. */
function findVirtualHost(hosts: readonly VirtualHost[], authority: string): VirtualHost | null {
  const name = authority.toLowerCase().replace(/:\d+$/, "");
  let best: { readonly host: VirtualHost; readonly rank: number } | null = null;
  for (const host of hosts) {
    for (const domain of host.domains) {
      let rank = 0;
      if (domain === name) rank = Number.POSITIVE_INFINITY;
      else if (domain === "*") rank = 1;
      else if (domain.startsWith("*") && name.length >= domain.length && name.endsWith(domain.slice(1)))
        rank = domain.length;
      if (rank > (best?.rank ?? 0)) best = { host, rank };
    }
  }
  return best?.host ?? null;
}

/** Gates by headers, and a tree over the path's prefixes whose actions are lists of routes. */
function evaluate(matcher: Matcher, request: EnvoyRequest): Route | null {
  if (matcher.matcherType.case === "matcherList") {
    const { matchers } = matcher.matcherType.value;
    const gate = matchers.find(({ predicate }) => predicate !== undefined && holds(predicate, request));
    const found = gate === undefined ? matcher.onNoMatch : gate.onMatch;
    return found === undefined ? null : act(found, request);
  }
  assert(matcher.matcherType.case === "matcherTree");
  const { treeType } = matcher.matcherType.value;
  assert(treeType.case === "prefixMatchMap");
  let longest: string | null = null;
  for (const prefix of Object.keys(treeType.value.map)) {
    if (request.path.startsWith(prefix) && prefix.length > (longest?.length ?? -1)) longest = prefix;
  }
  const found = longest === null ? matcher.onNoMatch : treeType.value.map[longest];
  return found === undefined ? null : act(found, request);
}

function holds({ matchType }: Matcher_MatcherList_Predicate, request: EnvoyRequest): boolean {
  if (matchType.case === "notMatcher") return !holds(matchType.value, request);
  assert(matchType.case === "singlePredicate");
  const { input, matcher } = matchType.value;
  assert(input?.typedConfig !== undefined && matcher.case === "valueMatch");
  const { headerName } = fromBinary(HttpRequestHeaderMatchInputSchema, input.typedConfig.value);
  const value = headerName === ":authority" ? request.authority : request.headers.get(headerName);
  const { matchPattern, ignoreCase } = matcher.value;
  if (value === undefined) return false;
  if (matchPattern.case === "safeRegex") return wholly(matchPattern.value.regex, value);
  assert(matchPattern.case === "exact");
  return ignoreCase ? matchPattern.value.toLowerCase() === value.toLowerCase() : matchPattern.value === value;
}

function act({ onMatch }: Matcher_OnMatch, request: EnvoyRequest): Route | null {
  if (onMatch.case === "matcher") return evaluate(onMatch.value, request);
  assert(onMatch.case === "action" && onMatch.value.typedConfig !== undefined);
  const { routes } = fromBinary(RouteListSchema, onMatch.value.typedConfig.value);
  return routes.find((route) => matches(route, request)) ?? null;
}

function matches({ match }: Route, request: EnvoyRequest): boolean {
  assert(match !== undefined);
  const limit = match.runtimeFraction?.defaultValue?.numerator ?? Number.POSITIVE_INFINITY;
  if (request.draw >= limit) return false;
  const path = request.path.replace(/[?#].*$/s, "");
  const fold = (text: string): string => (match.caseSensitive === false ? text.toLowerCase() : text);
  const { pathSpecifier } = match;
  if (pathSpecifier.case === "prefix") {
    if (!fold(path).startsWith(fold(pathSpecifier.value))) return false;
  } else if (pathSpecifier.case === "path") {
    if (fold(path) !== fold(pathSpecifier.value)) return false;
  } else {
    assert(pathSpecifier.case === "safeRegex");
    if (!wholly(pathSpecifier.value.regex, path)) return false;
  }
  return (
    match.headers.every((header) => headerMatches(header, request)) &&
    match.queryParameters.every((parameter) => queryMatches(parameter, request))
  );
}

function headerMatches(matcher: HeaderMatcher, request: EnvoyRequest): boolean {
  const { headerMatchSpecifier: wanted } = matcher;
  const value =
    { ":path": request.path, ":authority": request.authority, ":method": request.method }[matcher.name] ??
    request.headers.get(matcher.name) ??
    (matcher.treatMissingHeaderAsEmpty ? "" : undefined);
  if (value === undefined) return false;
  if (wanted.case === "presentMatch") return true;
  assert(wanted.case === "stringMatch");
  return textMatches(wanted.value, value) !== matcher.invertMatch;
}

function queryMatches(
  { name, queryParameterMatchSpecifier: wanted }: QueryParameterMatcher,
  { path }: EnvoyRequest,
): boolean {
  const at = path.indexOf("?");
  const pairs = at === -1 ? [] : path.slice(at + 1).split("&");
  const found = pairs.find((pair) => pair.split("=", 1)[0] === name);
  if (found === undefined) return false;
  if (wanted.case === "presentMatch") return true;
  assert(wanted.case === "stringMatch");
  return textMatches(wanted.value, found.slice(name.length + 1));
}

function textMatches({ matchPattern, ignoreCase }: StringMatcher, text: string): boolean {
  if (matchPattern.case === "safeRegex") return wholly(matchPattern.value.regex, text);
  assert(matchPattern.case === "exact");
  return ignoreCase ? matchPattern.value.toLowerCase() === text.toLowerCase() : matchPattern.value === text;
}

const patterns = new Map<string, RE2JS>();

function wholly(regex: string, text: string): boolean {
  const pattern = patterns.get(regex) ?? RE2JS.compile(regex);
  patterns.set(regex, pattern);
  return pattern.testExact(text);
}
