import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Destination, ForwardAction, HeaderChanges, PathMatch, Route } from "../../model/route.ts";
import {
  type Route as EnvoyRoute,
  type RouteAction,
  type RouteActionSchema,
  RouteSchema,
} from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { RoutingPriority } from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import { envoyHashPolicy } from "./affinity.ts";
import { corsFilters } from "./cors.ts";
import { failureRoute } from "./direct-response.ts";
import { duration } from "./duration.ts";
import { fraction } from "./fraction.ts";
import { headerChanges } from "./header-changes.ts";
import { envoyMirror } from "./mirror.ts";
import { envoyRewrite } from "./path-rewrite.ts";
import { rateLimitsOf } from "./rate-limits.ts";
import { envoyRedirect } from "./redirect.ts";
import { envoyRetry } from "./retry.ts";
import { type EnvoyMatch, envoyMatch, type HeaderMatcher, type HostKnown } from "./route-match.ts";

/** An Envoy route, with what an index must know of it. */
export interface RouteEntry {
  readonly message: EnvoyRoute;
  /** It takes no other paths than these. */
  readonly path: PathMatch;
  /** It takes all of them: what stands behind is never reached by way of its path. */
  readonly takesAll: boolean;
  /** Of what is decided before any path: it, or one beside it with the same gate, takes whatever meets this. */
  readonly gate?: HeaderMatcher;
}

/** What routes of one scope and virtual host have in common. */
export interface RouteSurroundings extends HostKnown {
  /** By the connection; redirects stay with it. */
  readonly scheme: "http" | "https";
  /** `typed_per_filter_config` of what is nobody's to authorize. */
  readonly unauthorized: Readonly<Record<string, Any>>;
  /** The same of what the authorization service is told beside a request. */
  readonly authContext: (extensions: Readonly<Record<string, string>>) => Readonly<Record<string, Any>>;
  /** The same of error responses. */
  readonly errorBodies: (responses: Route["errorResponses"]) => Readonly<Record<string, Any>>;
}

/**
 * The Envoy routes of a model route, in order; none where no request can meet its match. Each destination is a route of
 * its own: it may be of any kind, and has its own timeouts, rewrites and name in logs, which weighted clusters have not.
 */
export function envoyRoutes(route: Route, around: RouteSurroundings): RouteEntry[] {
  const match = envoyMatch(route.match, around);
  if (match === null) return [];
  return shares(route.destinations).flatMap(({ destination, upTo }) =>
    destinationRoutes(route, destination, match, upTo, around),
  );
}

/**
 * One draw decides over all routes of a request (Envoy takes the stream's random value for each `runtime_fraction`), so
 * each destination's share goes up to the sum of all before it and its own. The last takes what is left (null).
 */
function shares(
  destinations: readonly Destination[],
): { readonly destination: Destination; readonly upTo: number | null }[] {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  // The draw never falls on a weight of nothing.
  const drawn = total === 0 ? destinations.slice(-1) : destinations.filter(({ weight }) => weight > 0);
  let sum = 0;
  return drawn.map((destination, index) => {
    sum += destination.weight;
    return { destination, upTo: index === drawn.length - 1 ? null : sum / total };
  });
}

type RouteInit = MessageInitShape<typeof RouteSchema>;

function destinationRoutes(
  route: Route,
  { name, action }: Destination,
  match: EnvoyMatch,
  upTo: number | null,
  around: RouteSurroundings,
): RouteEntry[] {
  const entry = (climbs: string | null, init: Omit<RouteInit, "$typeName" | "match">): RouteEntry => ({
    message: create(RouteSchema, { name, match: routeMatch(match, upTo, climbs), ...init }),
    path: route.match.path,
    takesAll:
      upTo === null && climbs === null && match.headers.length === 0 && match.queryParameters.length === 0,
  });
  const errors = around.errorBodies(route.errorResponses);
  const unasked = sorted({ ...around.unauthorized, ...errors });
  const fails = (code: string): RouteEntry[] => [
    entry(null, {
      ...failureRoute({ reason: "route_fails_closed", code }),
      typedPerFilterConfig: unasked,
    }),
  ];
  const guard = (climbs: string | null): RouteEntry[] =>
    climbs === null
      ? []
      : [
          entry(climbs, {
            ...failureRoute({
              reason: "bad_request",
              code: "path has dot segments once rewritten",
            }),
            typedPerFilterConfig: unasked,
          }),
        ];
  // Before CORS, which would tell a browser that all is well.
  if (action.kind === "fail") return fails(action.code);
  const cors = corsFilters(route.cors);
  if (action.kind === "redirect") {
    const made = envoyRedirect(action, route.match, around.scheme);
    if (made === null) return fails("rewrite-invalid");
    return [
      ...guard(made.climbs),
      entry(null, {
        action: { case: "redirect", value: made.redirect },
        ...responseChanges(action.responseHeaders),
        typedPerFilterConfig: sorted({ ...cors, ...unasked }),
      }),
    ];
  }
  const { rewrite, climbs } = envoyRewrite(action.rewrite, route.match.path);
  if (rewrite.kind === "impossible") return fails("rewrite-invalid");
  const request = headerChanges(action.requestHeaders);
  return [
    ...guard(climbs),
    entry(null, {
      action: { case: "route", value: routeAction(route, action, rewrite) },
      requestHeadersToAdd: request.add,
      requestHeadersToRemove: request.remove,
      ...responseChanges(action.responseHeaders),
      typedPerFilterConfig: sorted({
        ...cors,
        ...errors,
        ...(action.authContext === undefined ? {} : around.authContext(action.authContext)),
        ...(route.bypassAuth === true ? unasked : {}),
      }),
    }),
  ];
}

function routeMatch(
  { path, caseSensitive, headers, queryParameters }: EnvoyMatch,
  upTo: number | null,
  climbs: string | null,
): NonNullable<RouteInit["match"]> {
  const climbing = {
    name: ":path",
    headerMatchSpecifier: {
      case: "stringMatch" as const,
      value: { matchPattern: { case: "safeRegex" as const, value: { regex: climbs ?? "" } } },
    },
  };
  return {
    pathSpecifier: path,
    ...(caseSensitive ? {} : { caseSensitive: false }),
    headers: climbs === null ? [...headers] : [...headers, climbing],
    queryParameters: [...queryParameters],
    ...(upTo === null ? {} : { runtimeFraction: { defaultValue: fraction(upTo) } }),
  };
}

function routeAction(
  route: Route,
  action: ForwardAction,
  rewrite: ReturnType<typeof envoyRewrite>["rewrite"],
): MessageInitShape<typeof RouteActionSchema> {
  const { mirror, upgrades = [] } = route;
  const { cluster, timeoutMs, idleTimeoutMs, hostRewrite, retry, hash, priority } = action;
  const hosted: RouteAction["hostRewriteSpecifier"] =
    hostRewrite === undefined ? { case: undefined } : { case: "hostRewriteLiteral", value: hostRewrite };
  return {
    clusterSpecifier: { case: "cluster", value: cluster },
    ...(rewrite.kind === "prefix" ? { prefixRewrite: rewrite.value } : {}),
    ...(rewrite.kind === "regex"
      ? { regexRewrite: { pattern: { regex: rewrite.pattern }, substitution: rewrite.substitution } }
      : {}),
    hostRewriteSpecifier: hosted,
    // 0 is Envoy's word for no limit, too.
    timeout: duration(timeoutMs),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeout: duration(idleTimeoutMs) }),
    ...(retry === undefined ? {} : { retryPolicy: envoyRetry(retry) }),
    ...(hash === undefined ? {} : { hashPolicy: [envoyHashPolicy(hash)] }),
    ...(priority === "high" ? { priority: RoutingPriority.HIGH } : {}),
    rateLimits: rateLimitsOf(route),
    requestMirrorPolicies: envoyMirror(mirror),
    // Any other upgrade is answered 403.
    upgradeConfigs: upgrades.map((upgradeType) => ({ upgradeType, enabled: true })),
  };
}

function responseChanges(
  changes: HeaderChanges | undefined,
): Pick<RouteInit, "responseHeadersToAdd" | "responseHeadersToRemove"> {
  const { add, remove } = headerChanges(changes);
  return { responseHeadersToAdd: add, responseHeadersToRemove: remove };
}

/** Maps are written in the order in which they were filled. */
function sorted(config: Readonly<Record<string, Any>>): Record<string, Any> {
  return Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
}
