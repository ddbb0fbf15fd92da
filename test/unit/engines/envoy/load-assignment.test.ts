import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointsName } from "../../../../src/endpoints/discovered.ts";
import type { Endpoint } from "../../../../src/endpoints/endpoint.ts";
import { EndpointStore } from "../../../../src/endpoints/store.ts";
import { changesBetween, snapshotOf } from "../../../../src/engines/envoy/ads/snapshot.ts";
import { translateClusters } from "../../../../src/engines/envoy/clusters.ts";
import { withMoved } from "../../../../src/engines/envoy/rotation.ts";
import type { TranslationContext } from "../../../../src/engines/envoy/translation-context.ts";
import { loadAssignments } from "../../../../src/engines/envoy/upstream/load-assignment.ts";
import { Cluster_DiscoveryType } from "../../../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { Cluster } from "../../../../src/model/cluster.ts";
import type { GatewayModel } from "../../../../src/model/gateway.ts";

const origin = { subject: { kind: "ConsulResolver", namespace: "default", name: "dc1" } };

function cluster(service: string, more: Partial<Cluster> = {}): Cluster {
  return {
    name: service,
    service: { host: service, port: 443 },
    connectTimeoutMs: 3000,
    resolver: { kind: "consul", address: "consul:8500", datacenter: "dc1", service },
    tls: {
      mode: "originate",
      credential: "consul/dc1/ambassador",
      verification: { mode: "none" },
      parameters: { minVersion: "v1.2", maxVersion: "v1.3", cipherSuites: [], groups: [], alpn: [] },
    },
    ...more,
  };
}

function modelOf(clusters: readonly Cluster[]): GatewayModel {
  return { http: {}, listeners: [], virtualHosts: [], routes: [], clusters } as unknown as GatewayModel;
}

function contextOf(discovered: EndpointStore): TranslationContext {
  return {
    discovered,
    generations: new Map([["credential consul/dc1/ambassador", "first"]]),
    ports: new Map(),
  };
}

test("a cluster with a resolver has its addresses under its own name, none included", () => {
  const store = new EndpointStore();
  const context = contextOf(store);
  const [assignment] = loadAssignments([cluster("shop")], context);
  assert.equal(assignment?.name, "shop");
  assert.equal(assignment?.message.clusterName, "shop");
  assert.deepEqual(assignment?.message.endpoints[0]?.lbEndpoints, []);
  const [translated] = translateClusters(modelOf([cluster("shop")]), context);
  assert.equal(translated?.message.edsClusterConfig?.serviceName, "");
  const { resolver: _, ...dns } = cluster("dns");
  assert.deepEqual(loadAssignments([dns], context), []);
});

test("a cluster that DNS has the addresses of has them there too, where somebody asks for Envoy", () => {
  const { resolver: _, ...named } = cluster("shop.example", { dns: { respectTtl: true } });
  const literal = { ...named, name: "literal", service: { host: "10.0.0.9", port: 443 } };
  const found = { endpoints: [{ address: "10.0.0.1", port: 443 }], missing: null };
  const context: TranslationContext = {
    discovered: {
      find: (name) => (name === "dns shop.example:443 ttl" ? found : assert.fail(name)),
      onChange: () => () => {},
    },
    knowsNames: true,
    generations: new Map(),
    ports: new Map(),
  };
  const all = loadAssignments([named, literal], context);
  assert.deepEqual(
    all.map(({ name }) => name),
    ["shop.example"],
  );
  const [host] = all[0]?.message.endpoints[0]?.lbEndpoints ?? [];
  const endpoint = host?.hostIdentifier.case === "endpoint" ? host.hostIdentifier.value : undefined;
  // As where Envoy asks DNS: what went upstream is recorded with it.
  assert.equal(endpoint?.hostname, "shop.example");
  assert.deepEqual(
    translateClusters(modelOf([named, literal]), context).map(
      ({ message }) => message.clusterDiscoveryType.value,
    ),
    [Cluster_DiscoveryType.STATIC, Cluster_DiscoveryType.EDS],
  );
});

test("weights are Envoy's, and absent where nobody has weighed", () => {
  const store = new EndpointStore();
  const [at, other] = ["10.0.0.1", "10.0.0.2"].map((address) => ({ address, port: 8080 }));
  store.publish(endpointsName(cluster("shop")) ?? "", [{ ...at, weight: 7 }, other] as Endpoint[], origin);
  const [assignment] = loadAssignments([cluster("shop")], contextOf(store));
  assert.deepEqual(
    assignment?.message.endpoints[0]?.lbEndpoints.map((each) => each.loadBalancingWeight),
    [7, undefined],
  );
});

test("addresses that move change the endpoints of that service alone", () => {
  const store = new EndpointStore();
  const clusters = [cluster("desk"), cluster("shop")];
  const model = modelOf(clusters);
  const context = contextOf(store);
  const before = snapshotOf([...translateClusters(model, context), ...loadAssignments(clusters, context)]);
  const [, shop] = clusters as [Cluster, Cluster];
  const moved = endpointsName(shop) ?? "";
  store.publish(moved, [{ address: "10.0.0.1", port: 8080 }], origin);
  const after = withMoved(before, new Set([moved]), model, context);
  assert.deepEqual(changesBetween(before, after), { endpoints: ["shop"] });
});
