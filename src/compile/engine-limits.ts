import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Cluster } from "../model/cluster.ts";
import type { DestinationAction, Route } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";

/** What the node engine cannot do yet with a cluster, and the field that asks for it; or null. */
export function nodeEngineLimit(cluster: Cluster): Limit | null {
  if (cluster.protocol === "h2")
    return {
      field: "grpc",
      message: "the node engine does not speak HTTP/2 to upstreams",
      remedy: "Remove `grpc` if the service speaks HTTP/1.1 too; there is no engine for HTTP/2 yet.",
    };
  if (cluster.resolver?.kind === "consul")
    return {
      field: "resolver",
      message: "no source of Consul's endpoints is connected",
      remedy: "Name the service as DNS knows it (Consul has a DNS interface), and remove `resolver`.",
    };
  if (cluster.resolver !== undefined)
    return {
      field: "resolver",
      message: "no source of Kubernetes endpoints is connected",
      remedy: "Remove `resolver`: the service is found by DNS, and `load_balancer` works over its addresses.",
    };
  return null;
}

interface Limit {
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
}

/** Last pass over routes: what the engine cannot do is not done halfway, it answers 503 and says so. */
export function closeWhatTheEngineCannot(
  routes: readonly Route[],
  clusters: readonly Cluster[],
  mappings: readonly MappingResource[],
  diagnostics: Diagnostic[],
): { routes: Route[]; clusters: Cluster[] } {
  /** Made when the first is closed: most worlds have none. */
  let byName: Map<string, MappingResource> | undefined;
  const limits = new Map(clusters.map((cluster) => [cluster.name, nodeEngineLimit(cluster)]));
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
  return {
    routes: routes.map((route) => ({
      ...route,
      destinations: route.destinations.map((each) => ({ ...each, action: close(each.name, each.action) })),
      ...(route.mirror === undefined
        ? {}
        : { mirror: { ...route.mirror, action: close(route.mirror.name, route.mirror.action) } }),
    })),
    clusters: clusters.filter(({ name }) => (limits.get(name) ?? null) === null),
  };
}

type Closed = { readonly kind: "fail"; readonly code: string };
