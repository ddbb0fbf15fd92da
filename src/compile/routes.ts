import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Destination, Mirror, Route } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { compileForward, compileRedirect } from "./actions.ts";
import type { ClusterInput } from "./clusters.ts";
import { corsPolicy } from "./cors.ts";
import { errorResponses } from "./error-responses.ts";
import { type SettledGroup, settleGroup } from "./group.ts";
import { compileMatch } from "./route-match.ts";
import { type MatchedMapping, orderedGroups } from "./route-order.ts";
import { normaliseWeights } from "./weights.ts";

export interface RoutesInput extends ClusterInput {
  readonly mappings: readonly MappingResource[];
  /** Closes every route, with this code. */
  readonly closedBy: string | null;
}

/** Mappings to groups, groups to routes in 1.14's order (reference §2.5.3), and the clusters that they name. */
export function compileRoutes(
  input: RoutesInput,
  diagnostics: Diagnostic[],
): { routes: Route[]; clusters: Cluster[] } {
  const clusters = new Map<string, Cluster>();
  const matched = input.mappings.flatMap((mapping): MatchedMapping[] => {
    const found = compileMatch(mapping, input.config.regex_max_size, diagnostics);
    if (found === null) return [];
    return [{ mapping, match: found.match, closedBy: input.closedBy ?? mapping.closedBy ?? found.closedBy }];
  });
  const routes = orderedGroups(matched).map((group) => {
    const settled = settleGroup(group, input.config, diagnostics);
    return compileRoute(settled, input, clusters, diagnostics);
  });
  return {
    routes: routes.filter((route) => route !== null),
    clusters: [...clusters.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
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
  };
}

function compileAction(
  { mapping, closedBy }: MatchedMapping,
  shared: SettledGroup["shared"],
  input: RoutesInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): Destination["action"] {
  if (closedBy !== null) return { kind: "fail", code: closedBy };
  return mapping.spec.host_redirect === true
    ? compileRedirect(mapping, shared, input, diagnostics)
    : compileForward(mapping, shared, input, clusters, diagnostics);
}

function compileMirror(
  { mapping, closedBy }: MatchedMapping,
  shared: SettledGroup["shared"],
  input: RoutesInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): Mirror {
  return {
    name: routeName(mapping),
    percent: mapping.spec.weight ?? 100,
    action:
      closedBy === null
        ? compileForward(mapping, shared, input, clusters, diagnostics)
        : { kind: "fail", code: closedBy },
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
