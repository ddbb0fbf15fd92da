import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { type EngineName, type Feature, type Limit, limitOf } from "../model/capabilities.ts";
import type { Cluster } from "../model/cluster.ts";
import type { DestinationAction, Route } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";

/** What a cluster asks of its engine: the first that it cannot do is said. */
const CLUSTER_NEEDS: readonly Need<Cluster>[] = [
  { feature: "h2-upstream", field: "grpc", isAsked: ({ protocol }) => protocol === "h2" },
  {
    feature: "kubernetes-endpoints",
    field: "resolver",
    isAsked: ({ resolver }) => resolver?.kind === "kubernetes-endpoint",
  },
];

interface Need<Part> {
  readonly feature: Feature;
  /** The field of the resource that asks for it. */
  readonly field: string;
  readonly isAsked: (part: Part) => boolean;
}

/** What the engine cannot do with a cluster, and the field that asks for it; or null. */
export function clusterLimit(cluster: Cluster, engine: EngineName): FieldLimit | null {
  return firstLimit(cluster, CLUSTER_NEEDS, engine);
}

interface FieldLimit extends Limit {
  readonly field: string;
}

function firstLimit<Part>(part: Part, needs: readonly Need<Part>[], engine: EngineName): FieldLimit | null {
  for (const { feature, field, isAsked } of needs) {
    const limit = limitOf(engine, feature);
    if (limit !== null && isAsked(part)) return { ...limit, field };
  }
  return null;
}

/** Last pass over routes: what the engine cannot do is not done halfway, it answers 503 and says so. */
export function closeWhatTheEngineCannot(
  routes: readonly Route[],
  clusters: readonly Cluster[],
  mappings: readonly MappingResource[],
  engine: EngineName,
  diagnostics: Diagnostic[],
): { routes: readonly Route[]; clusters: readonly Cluster[] } {
  // The rule, and then nothing is gone through route by route.
  const unmet = CLUSTER_NEEDS.filter(({ feature }) => limitOf(engine, feature) !== null);
  if (!clusters.some((cluster) => unmet.some(({ isAsked }) => isAsked(cluster)))) return { routes, clusters };
  /** Made when the first is closed: most worlds have none. */
  let byName: Map<string, MappingResource> | undefined;
  const limits = new Map(clusters.map((cluster) => [cluster.name, clusterLimit(cluster, engine)]));
  const close = <Action extends DestinationAction>(name: string, action: Action): Action | Closed => {
    const limit = action.kind === "forward" ? (limits.get(action.cluster) ?? null) : null;
    if (limit === null) return action;
    byName ??= new Map(mappings.map((each) => [`mapping/${each.namespace}/${each.name}`, each]));
    const mapping = byName.get(name);
    if (mapping !== undefined) {
      const at = { subject: subjectOf(mapping), source: positionOf(mapping, limit.field) };
      diagnostics.push(diagnose("engine-cannot", { ...at, message: limit.message, remedy: limit.remedy }));
    }
    return { kind: "fail", code: "engine-cannot" };
  };
  // What stays open stays the same object: whoever compares revisions sees that nothing changed.
  const closeRoute = (route: Route): Route => {
    const destinations = route.destinations.map((each) => {
      const action = close(each.name, each.action);
      return action === each.action ? each : { ...each, action };
    });
    const { mirror } = route;
    const mirrored = mirror === undefined ? undefined : close(mirror.name, mirror.action);
    const isSame =
      mirrored === mirror?.action && destinations.every((each, at) => each === route.destinations[at]);
    if (isSame) return route;
    return {
      ...route,
      destinations,
      ...(mirror === undefined || mirrored === undefined ? {} : { mirror: { ...mirror, action: mirrored } }),
    };
  };
  return {
    routes: routes.map(closeRoute),
    clusters: clusters.filter(({ name }) => (limits.get(name) ?? null) === null),
  };
}

type Closed = { readonly kind: "fail"; readonly code: string };
