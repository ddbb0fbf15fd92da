import { create } from "@bufbuild/protobuf";
import { endpointsName, namedEndpoints, NOTHING_DISCOVERED } from "../../../endpoints/discovered.ts";
import type { Endpoint } from "../../../endpoints/endpoint.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { ClusterLoadAssignmentSchema } from "../../../protobuf/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { resource, type XdsResource } from "../resources.ts";
import type { TranslationContext } from "../translation-context.ts";
import { TranslationMemory } from "../translation-memory.ts";

/** EDS: the addresses of each cluster that somebody else knows, by its name; none included: Envoy would wait for what nobody sends. */
export function loadAssignments(
  clusters: readonly Cluster[],
  context: TranslationContext,
  memory: TranslationMemory = new TranslationMemory(),
): XdsResource<"endpoints">[] {
  const { discovered = NOTHING_DISCOVERED } = context;
  const assignments: XdsResource<"endpoints">[] = [];
  for (const cluster of clusters) {
    const known = discoveredName(cluster, context);
    if (known === null) continue;
    const { endpoints } = discovered.find(known);
    const assignment = memory.endpoints(cluster, endpoints, () => {
      const lbEndpoints = endpoints.map((endpoint) => lbEndpoint(endpoint, cluster));
      const message = create(ClusterLoadAssignmentSchema, {
        clusterName: cluster.name,
        endpoints: [{ lbEndpoints }],
      });
      return resource("endpoints", cluster.name, message, []);
    });
    assignments.push(assignment);
  }
  return assignments;
}

/** The name by which a cluster's addresses are discovered; null: they are its own, or Envoy asks DNS. */
export function discoveredName(cluster: Cluster, { knowsNames }: TranslationContext): string | null {
  return endpointsName(cluster) ?? (knowsNames === true ? namedEndpoints(cluster) : null);
}

/** The host is known by its name as where Envoy asks DNS: records of what went upstream have it. */
function lbEndpoint({ address, port, weight }: Endpoint, { resolver, service }: Cluster) {
  const socketAddress = { address, portSpecifier: { case: "portValue" as const, value: port } };
  const endpoint = {
    address: { address: { case: "socketAddress" as const, value: socketAddress } },
    ...(resolver === undefined ? { hostname: service.host } : {}),
  };
  return {
    hostIdentifier: { case: "endpoint" as const, value: endpoint },
    ...(weight === undefined ? {} : { loadBalancingWeight: weight }),
  };
}
