import { create } from "@bufbuild/protobuf";
import type { Cluster } from "../../model/cluster.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import {
  type Cluster as ClusterMessage,
  ClusterSchema,
} from "../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { duration } from "./duration.ts";
import { resource, type XdsResource } from "./resources.ts";
import type { TranslationContext } from "./translation-context.ts";
import { TranslationMemory } from "./translation-memory.ts";
import { addresses } from "./upstream/addresses.ts";
import { balancing } from "./upstream/balancer.ts";
import { circuitBreakers } from "./upstream/breaker.ts";
import { generationKey, generationMetadata } from "./upstream/generation.ts";
import { keepalive } from "./upstream/keepalive.ts";
import { outlierDetection } from "./upstream/outliers.ts";
import { protocolOptions } from "./upstream/protocol.ts";
import { transportSocket } from "./upstream/tls.ts";

/** CDS: the clusters of routes and TCP listeners, of the AuthService, and of the services beside the way. Sorted by name. */
export function translateClusters(
  model: GatewayModel,
  context: TranslationContext,
  memory: TranslationMemory = new TranslationMemory(),
): XdsResource<"cluster">[] {
  const users = usersOf(model);
  return clustersOf(model).map((cluster) => {
    const from = [
      ...(users.get(cluster.name) ?? []),
      ...(cluster.tls.mode === "originate" && cluster.tls.context !== undefined
        ? [`tlscontext/${cluster.tls.context}`]
        : []),
    ];
    const key = `${generationKey(cluster, context)} ${from.join()}`;
    return memory.cluster(cluster, key, () =>
      resource("cluster", cluster.name, translateCluster(cluster, context), from),
    );
  });
}

/** Each cluster once: a name is made of everything that decides what it stands for. */
export function clustersOf(model: GatewayModel): Cluster[] {
  const all = [...model.clusters, ...(model.outside ?? []).map(({ cluster }) => cluster)];
  const byName = new Map(all.map((cluster) => [cluster.name, cluster]));
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function translateCluster(cluster: Cluster, context: TranslationContext): ClusterMessage {
  return create(ClusterSchema, {
    name: cluster.name,
    ...addresses(cluster, context),
    // The node engine's covers the handshake too, and so does Envoy's.
    connectTimeout: duration(cluster.connectTimeoutMs),
    ...balancing(cluster),
    ...circuitBreakers(cluster),
    ...outlierDetection(cluster),
    ...keepalive(cluster),
    ...protocolOptions(cluster, context),
    ...transportSocket(cluster, context),
    ...generationMetadata(cluster, context),
  });
}

/** What hears of it when Envoy refuses a cluster: names of Mappings and so on, sorted, by cluster. */
function usersOf(model: GatewayModel): Map<string, string[]> {
  const users = new Map<string, Set<string>>();
  const add = (cluster: string, user: string): void => {
    const found = users.get(cluster);
    if (found === undefined) users.set(cluster, new Set([user]));
    else found.add(user);
  };
  const destinations = [
    ...model.routes.flatMap(({ destinations }) => destinations),
    ...model.routes.flatMap(({ mirror }) => mirror ?? []),
    ...(model.tcpListeners ?? []).flatMap(({ chains }) => chains.flatMap((chain) => chain.destinations)),
  ];
  for (const { name, action } of destinations) if (action.kind === "forward") add(action.cluster, name);
  for (const { name, cluster } of model.authorization?.services ?? []) add(cluster, name);
  for (const { name, cluster } of model.outside ?? []) add(cluster.name, name);
  return new Map([...users].map(([cluster, names]) => [cluster, [...names].sort()]));
}
