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
): readonly XdsResource<"cluster">[] {
  const clusters = clustersOf(model);
  const users = memory.users(model);
  const generations = memory.generations(context.generations);
  return memory.clusters(clusters, users, generations, (cluster, served) =>
    memory.cluster(
      cluster,
      served,
      generations,
      () => generationKey(cluster, context),
      () => {
        const { name, tls } = cluster;
        const named =
          tls.mode === "originate" && tls.context !== undefined ? [`tlscontext/${tls.context}`] : [];
        return resource("cluster", name, translateCluster(cluster, context), [...served, ...named]);
      },
    ),
  );
}

/** Each cluster once: a name is made of everything that decides what it stands for. */
export function clustersOf(model: GatewayModel): readonly Cluster[] {
  const known = SORTED.get(model);
  if (known !== undefined) return known;
  const { clusters, outside = [] } = model;
  const all = outside.length === 0 ? clusters : [...clusters, ...outside.map(({ cluster }) => cluster)];
  const sorted = isSorted(all) ? all : sortedByName(all);
  SORTED.set(model, sorted);
  return sorted;
}

function isSorted(clusters: readonly Cluster[]): boolean {
  if (FOUND_SORTED.has(clusters)) return true;
  if (!clusters.every(({ name }, at) => at === 0 || (clusters[at - 1] as Cluster).name < name)) return false;
  FOUND_SORTED.add(clusters);
  return true;
}

function sortedByName(clusters: readonly Cluster[]): Cluster[] {
  const byName = new Map(clusters.map((cluster) => [cluster.name, cluster]));
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A model is asked several times, and models share lists. */
const SORTED = new WeakMap<GatewayModel, readonly Cluster[]>();
const FOUND_SORTED = new WeakSet<readonly Cluster[]>();

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
