import { create } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../model/gateway.ts";
import type { Route } from "../../model/route.ts";
import { VirtualHostSchema } from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { authorizationContext, withoutAuthorization } from "./authorization.ts";
import { errorBodiesOf } from "./error-bodies.ts";
import { decide, type HostDecisions } from "./host-decisions.ts";
import { hostRoutes } from "./host-routes.ts";
import { resource, type XdsResource } from "./resources.ts";
import { staleConnectionRetry } from "./retry.ts";
import type { RouteScope } from "./route-scopes.ts";
import type { RoutesByName } from "./routes-by-name.ts";
import { routeTable } from "./route-table.ts";
import { TranslationMemory } from "./translation-memory.ts";
import { envoyRoutes, type RouteEntry, type RouteSurroundings } from "./routes.ts";

/** Above so many routes in one scope hosts share virtual hosts, and routes ask for their host themselves. */
export const MAX_ROUTES = 200_000;

/**
 * A virtual host for each name that routes or Hosts write, and `*`. Each has, in their order, the routes of its name and
 * those of any: one Mapping changed is one virtual host changed, unless it is for every host.
 */
export function virtualHosts(
  scope: RouteScope,
  model: GatewayModel,
  httpsPort: number | null,
  maxRoutes: number = MAX_ROUTES,
  memory: TranslationMemory = new TranslationMemory(),
): XdsResource<"virtual-host">[] {
  const routes = memory.routesByName(model.routes);
  const groups = groupDomains(scope, model, routes, maxRoutes);
  const unauthorized = withoutAuthorization(model);
  const common = {
    scheme: scope.clients === null ? ("http" as const) : ("https" as const),
    stripPort: model.http.stripMatchingHostPort,
    unauthorized,
    authContext: (extensions: Readonly<Record<string, string>>) => authorizationContext(model, extensions),
    errorBodies: (responses: Route["errorResponses"]) => errorBodiesOf(responses, model),
  };
  /** Those of any host are the same everywhere. */
  const ofAnyHost = new Map<Route, readonly RouteEntry[]>();
  const translate = (route: Route, around: RouteSurroundings): readonly RouteEntry[] => {
    const known = ofAnyHost.get(route);
    if (known !== undefined) return known;
    const made = envoyRoutes(route, around);
    if (route.match.host === undefined) ofAnyHost.set(route, made);
    return made;
  };
  return groups.map(({ domains, decisions }) => {
    const name = domains.length === 1 && !domains[0]?.startsWith("*") ? (domains[0] ?? null) : null;
    const isServed = decisions.plain.kind === "route" || decisions.forwarded?.kind === "route";
    const inside = isServed ? routes.of(domains) : [];
    const isBare =
      !common.stripPort && inside.length >= MANY && inside.every(({ match }) => match.host === name);
    const fullName = `${scope.name}/${domains.includes("*") ? "*" : domains[0]}`;
    return memory.virtualHost(fullName, JSON.stringify([domains, decisions]), inside, () => {
      const entries = inside.flatMap((route) => [...translate(route, { ...common, name, isBare })]);
      const table = routeTable(hostRoutes(decisions, entries, { name, isBare, httpsPort, unauthorized }));
      const message = create(VirtualHostSchema, {
        name: fullName,
        domains: [...domains],
        ...(inside.length > 0 ? { retryPolicy: staleConnectionRetry() } : {}),
        ...(table.matcher === undefined ? { routes: [...table.routes] } : { matcher: table.matcher }),
      });
      return resource("virtual-host", fullName, message, namesOf(inside));
    });
  });
}

/** Fewer routes each compare the host themselves. */
const MANY = 3;

interface DomainGroup {
  /** Sorted. */
  readonly domains: readonly string[];
  readonly decisions: HostDecisions;
}

function groupDomains(
  scope: RouteScope,
  model: GatewayModel,
  routes: RoutesByName,
  maxRoutes: number,
): DomainGroup[] {
  const domains = new Set(["*", ...model.virtualHosts.map(({ domain }) => domain), ...routes.names()]);
  const single = [...domains]
    .sort()
    .map((domain): DomainGroup => ({ domains: [domain], decisions: decide(domain, scope, model) }));
  let total = 0;
  for (const group of single) total += routes.count(group.domains);
  if (total <= maxRoutes) return single;
  const byDecisions = Map.groupBy(single, ({ decisions }) => JSON.stringify(decisions));
  return [...byDecisions.values()].map((groups) => ({
    domains: groups.flatMap((group) => group.domains),
    decisions: (groups[0] as DomainGroup).decisions,
  }));
}

function namesOf(routes: readonly Route[]): string[] {
  const names = new Set<string>();
  for (const { destinations, mirror } of routes) {
    for (const { name } of destinations) names.add(name);
    if (mirror !== undefined) names.add(mirror.name);
  }
  return [...names].sort();
}
