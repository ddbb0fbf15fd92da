import { create } from "@bufbuild/protobuf";
import type { Cluster } from "../../model/cluster.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import type { Destination } from "../../model/route.ts";
import type { TcpDestination } from "../../model/tcp.ts";
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
  const generations = memory.generations(context.generations);
  return clustersOf(model).map((cluster) => {
    const { name, tls } = cluster;
    const served = users.get(name) ?? NOBODY;
    return memory.cluster(
      cluster,
      served,
      generations,
      () => generationKey(cluster, context),
      () => {
        const named =
          tls.mode === "originate" && tls.context !== undefined ? [`tlscontext/${tls.context}`] : [];
        return resource("cluster", name, translateCluster(cluster, context), [...served, ...named]);
      },
    );
  });
}

/** Each cluster once: a name is made of everything that decides what it stands for. */
export function clustersOf(model: GatewayModel): readonly Cluster[] {
  const known = SORTED.get(model);
  if (known !== undefined) return known;
  const all = [...model.clusters, ...(model.outside ?? []).map(({ cluster }) => cluster)];
  const sorted = isSorted(all) ? all : sortedByName(all);
  SORTED.set(model, sorted);
  return sorted;
}

function isSorted(clusters: readonly Cluster[]): boolean {
  return clusters.every(({ name }, at) => at === 0 || (clusters[at - 1] as Cluster).name < name);
}

function sortedByName(clusters: readonly Cluster[]): Cluster[] {
  const byName = new Map(clusters.map((cluster) => [cluster.name, cluster]));
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A model is asked several times. */
const SORTED = new WeakMap<GatewayModel, readonly Cluster[]>();

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
function usersOf(model: GatewayModel): Map<string, readonly string[]> {
  const users = new Map<string, string[]>();
  const add = (cluster: string, user: string): void => {
    const found = users.get(cluster);
    if (found === undefined) users.set(cluster, [user]);
    else found.push(user);
  };
  const addAll = (destinations: readonly (Destination | TcpDestination)[]): void => {
    for (const { name, action } of destinations) if (action.kind === "forward") add(action.cluster, name);
  };
  for (const { destinations, mirror } of model.routes) {
    addAll(destinations);
    if (mirror?.action.kind === "forward") add(mirror.action.cluster, mirror.name);
  }
  for (const { chains } of model.tcpListeners ?? [])
    for (const { destinations } of chains) addAll(destinations);
  for (const { name, cluster } of model.authorization?.services ?? []) add(cluster, name);
  for (const { name, cluster } of model.outside ?? []) add(cluster.name, name);
  for (const [cluster, names] of users) if (names.length > 1) users.set(cluster, [...new Set(names)].sort());
  return users;
}

const NOBODY: readonly string[] = [];
