import type { EndpointSources } from "../control/endpoint-sources.ts";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { endpointsName, namedEndpoints } from "../endpoints/discovered.ts";
import type { EndpointReader } from "../endpoints/endpoint.ts";
import type { NameWanted, NameWatch } from "../endpoints/name-watch.ts";
import type { EndpointStore } from "../endpoints/store.ts";
import type { ConsulServiceWanted } from "../mesh/consul/services.ts";
import type { Cluster } from "../model/cluster.ts";
import type { GatewayModel } from "../model/gateway.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import type { Clock } from "../telemetry/clock.ts";
import { consulAsking } from "./consul-asking.ts";
import type { GroupBounds } from "./group-bounds.ts";
import { lazyFollower } from "./lazy-follower.ts";

/** Whom resources name as knowing addresses: Consul's agents. And DNS, for an engine that does not ask it itself. */
export interface WiredEndpoints extends EndpointSources {
  /** Told of each new ResourceSet: findings are about its objects. */
  onResources(resources: ResourceSet): void;
  /** The model prepared last serves: what only earlier ones named is asked for no more. */
  settle(): void;
  stop(): void;
}

/** Who knows the addresses of clusters with a resolver, put together: Consul, loaded when it is named, and DNS for names. */
export function wireEndpoints(
  store: EndpointStore,
  dns: EndpointReader,
  clock: Clock,
  bounds: GroupBounds,
  names?: NameWatch,
): WiredEndpoints {
  let resolvers: ResourceSet["resolvers"] = [];
  const consul = lazyFollower(async () =>
    (await import("../mesh/consul/services.ts")).createConsulServices(store, dns, clock),
  );
  const named = names === undefined ? undefined : lazyFollower(async () => names);
  return {
    onResources(resources) {
      resolvers = resources.resolvers;
    },
    async prepare(model) {
      await Promise.all([
        consul.follow(consulWanted(model, resolvers, bounds)),
        named?.follow(namesWanted(model)),
      ]);
    },
    settle() {
      consul.settle();
      named?.settle();
    },
    diagnostics: () => store.diagnostics(),
    onFindings: (listener) => store.onFindings(listener),
    stop() {
      consul.stop();
      named?.stop();
    },
  };
}

/** Of what asks nobody: which services somebody will be asked about. */
export function unaskedEndpoints(model: GatewayModel, resolvers: ResourceSet["resolvers"]): Diagnostic[] {
  const byResolver = new Map<string, ConsulServiceWanted[]>();
  for (const wanted of consulWanted(model, resolvers, {})) {
    const key = JSON.stringify(wanted.origin);
    byResolver.set(key, [...(byResolver.get(key) ?? []), wanted]);
  }
  return [...byResolver.values()].map((all) => {
    const [{ address, datacenter, origin }] = all as [ConsulServiceWanted];
    const services = [...new Set(all.map(({ service }) => service))].sort().join(", ");
    const message = `Consul at ${address} is asked when the gateway runs: whether datacenter ${datacenter} has healthy instances of ${services} is not known here`;
    return diagnose("endpoints-not-asked", { ...origin, message });
  });
}

/** Each name that a cluster of the model stands for, once. */
function namesWanted(model: GatewayModel): NameWanted[] {
  const wanted = new Map<string, NameWanted>();
  for (const cluster of clustersOf(model)) {
    const name = namedEndpoints(cluster);
    const { service, dns } = cluster;
    if (name !== null) wanted.set(name, { name, ...service, dns });
  }
  return [...wanted.values()];
}

function clustersOf({ clusters, outside = [] }: GatewayModel): readonly Cluster[] {
  return outside.length === 0 ? clusters : [...clusters, ...outside.map(({ cluster }) => cluster)];
}

/** Each service of Consul that a cluster of the model stands for, once. */
function consulWanted(
  model: GatewayModel,
  resolvers: ResourceSet["resolvers"],
  bounds: GroupBounds,
): ConsulServiceWanted[] {
  const wanted = new Map<string, ConsulServiceWanted>();
  for (const cluster of clustersOf(model)) {
    const name = endpointsName(cluster);
    const { resolver } = cluster;
    if (name === null || resolver?.kind !== "consul" || wanted.has(name)) continue;
    const { address, datacenter, service, tags = [] } = resolver;
    const written = resolvers.find(
      ({ kind, spec }) =>
        kind === "ConsulResolver" && spec.address === address && spec.datacenter === datacenter,
    );
    const origin =
      written === undefined
        ? { subject: { kind: "ConsulResolver", namespace: "", name: address } }
        : { subject: subjectOf(written), source: positionOf(written, "address") };
    const asking = consulAsking(address, bounds);
    wanted.set(name, { name, address, datacenter, service, tags, ...asking, origin });
  }
  return [...wanted.values()];
}
