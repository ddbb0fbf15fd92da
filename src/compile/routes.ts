import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Destination, Mirror, Route } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { compileForward, compileRedirect } from "./actions.ts";
import type { CompileMemory } from "./compile-memory.ts";
import { corsPolicy } from "./cors.ts";
import { checkErrorResponses, errorResponses } from "./error-responses.ts";
import type { Found, MadeRoute } from "./found.ts";
import { type SettledGroup, settleGroup } from "./group.ts";
import { mayBeGuarded } from "./guards.ts";
import { compileRateLimits } from "./rate-limits.ts";
import { compileMatch } from "./route-match.ts";
import { type MatchedMapping, placed } from "./route-order.ts";
import type { RoutesInput } from "./routes-input.ts";
import { normaliseWeights } from "./weights.ts";

/** Mappings to groups, groups to routes in 1.14's order (reference §2.5.3), and the clusters that they name. */
export function compileRoutes(
  input: RoutesInput,
  memory: CompileMemory,
  diagnostics: Diagnostic[],
): { routes: readonly Route[]; clusters: readonly Cluster[] } {
  const groups = memory.groups(input, {
    match: (mapping) => matchOf(mapping, input),
    route: (members) => routeOf(members, input),
  });
  for (const found of groups.diagnostics()) diagnostics.push(found);
  return { routes: groups.routes(), clusters: groups.clusters.sorted() };
}

function matchOf(mapping: MappingResource, input: RoutesInput): Found<MatchedMapping | null> {
  const diagnostics: Diagnostic[] = [];
  checkErrorResponses(mapping, subjectOf(mapping), diagnostics);
  const found = compileMatch(mapping, input.config.regex_max_size, diagnostics);
  const guarded = found !== null && mayBeGuarded(found.match, input.guarded);
  const closedBy =
    input.closedBy ??
    (guarded ? "access-control-not-enforced" : null) ??
    mapping.closedBy ??
    found?.closedBy ??
    null;
  const value =
    found === null ? null : placed(mapping, found.match, { closedBy, mayBeNarrower: found.mayBeNarrower });
  return { value, diagnostics };
}

function routeOf(group: readonly MatchedMapping[], input: RoutesInput): Found<MadeRoute> {
  const diagnostics: Diagnostic[] = [];
  const clusters = new Map<string, Cluster>();
  const settled = settleGroup(group, input.config, diagnostics);
  const route = compileRoute(settled, input, clusters, diagnostics);
  return { value: { route, clusters: [...clusters.values()] }, diagnostics };
}

/** Null for a shadow that nobody's requests could be copied from. */
function compileRoute(
  { members, mirror, shared }: SettledGroup,
  input: RoutesInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): Route | null {
  const [first] = members;
  const shadow = mirror === null ? undefined : compileMirror(mirror, shared, input, clusters, diagnostics);
  if (first === undefined) return null;
  const weights = normaliseWeights(
    members.map(({ mapping }) => mapping),
    diagnostics,
  );
  const destinations = members.map((member, index): Destination => {
    const weight = weights[index] as number;
    // What gets nothing is judged all the same, and leaves no cluster behind that nobody uses.
    const named = weight > 0 ? clusters : new Map<string, Cluster>();
    return {
      name: routeName(member.mapping),
      weight,
      action: compileAction(member, shared, input, named, diagnostics),
    };
  });
  const reached = destinations.filter(({ weight }) => weight > 0);
  const rateLimits = members.flatMap(({ mapping }, index) => {
    // The first Mapping's are the group's; what is wrong with the others' is the same.
    const found = compileRateLimits(mapping, input.rateLimitDomain, input.config, diagnostics);
    return index === 0 ? found : [];
  });
  const cors = corsPolicy(shared.cors);
  const upgrades = upgradesOf(shared);
  const errors = shared.bypass_error_response_overrides
    ? undefined
    : errorResponses(shared.error_response_overrides);
  return {
    name: routeName(first.mapping),
    match: first.match,
    destinations:
      reached.length > 0
        ? reached
        : [
            {
              name: routeName(first.mapping),
              weight: 1,
              action: { kind: "fail", code: "mapping-fails-closed" },
            },
          ],
    ...(shadow === undefined ? {} : { mirror: shadow }),
    ...(cors === undefined ? {} : { cors }),
    ...(upgrades === undefined ? {} : { upgrades }),
    ...(shared.bypass_auth === true ? { bypassAuth: true as const } : {}),
    ...(errors === undefined ? {} : { errorResponses: errors }),
    ...(rateLimits.length === 0 ? {} : { rateLimits }),
  };
}

function compileAction(
  { mapping, closedBy }: MatchedMapping,
  shared: SettledGroup["shared"],
  input: RoutesInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): Destination["action"] {
  const isRedirect = mapping.spec.host_redirect === true;
  const code = closedBy ?? (isRedirect ? null : unasked(shared, input));
  if (code !== null) return { kind: "fail", code };
  if (isRedirect) return compileRedirect(mapping, shared, input, diagnostics);
  const action = compileForward(mapping, shared, input, clusters, diagnostics);
  const authContext = authContextOf(mapping, shared, input, diagnostics);
  return authContext === null || action.kind === "fail" ? action : { ...action, authContext };
}

/** What the authorization service is told beside the request; null: nothing, or nobody is asked in a way that has a place for it. */
function authContextOf(
  mapping: MappingResource,
  { bypass_auth }: SettledGroup["shared"],
  { authTakesContext }: RoutesInput,
  diagnostics: Diagnostic[],
): Readonly<Record<string, string>> | null {
  const entries = Object.entries(mapping.spec.auth_context_extensions ?? {});
  if (entries.length === 0) return null;
  if (authTakesContext && bypass_auth !== true)
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  diagnostics.push(
    diagnose("field-not-supported", {
      subject: subjectOf(mapping),
      source: positionOf(mapping, "auth_context_extensions"),
      message: `auth_context_extensions go to a gRPC AuthService only, and none is asked${bypass_auth === true ? " (bypass_auth)" : ""}`,
      severity: "warning",
    }),
  );
  return null;
}

/** What closes a route because its requests were to be asked about and cannot be. */
function unasked({ bypass_auth }: SettledGroup["shared"], { authClosedBy }: RoutesInput): string | null {
  return bypass_auth === true ? null : authClosedBy;
}

function compileMirror(
  { mapping, closedBy }: MatchedMapping,
  shared: SettledGroup["shared"],
  input: RoutesInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): Mirror {
  const code = closedBy ?? unasked(shared, input);
  return {
    name: routeName(mapping),
    percent: mapping.spec.weight ?? 100,
    action:
      code === null ? compileForward(mapping, shared, input, clusters, diagnostics) : { kind: "fail", code },
  };
}

function upgradesOf({ allow_upgrade, use_websocket }: SettledGroup["shared"]): string[] | undefined {
  const names = (allow_upgrade ?? (use_websocket === true ? ["websocket"] : [])).map((name) =>
    name.toLowerCase(),
  );
  return names.length === 0 ? undefined : [...new Set(names)].sort();
}

function routeName(mapping: MappingResource): string {
  return `mapping/${mapping.namespace}/${mapping.name}`;
}
