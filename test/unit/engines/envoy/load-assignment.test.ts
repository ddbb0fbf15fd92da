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

function contextOf(discovered: EndpointStore, generation = 1): TranslationContext {
  return {
    discovered,
    generations: new Map([["credential consul/dc1/ambassador", generation]]),
    ports: new Map(),
  };
}

/** The name by which a cluster asks for its addresses. */
function askedFor(one: Cluster, context: TranslationContext): string | undefined {
  return translateClusters(modelOf([one]), context)[0]?.message.edsClusterConfig?.serviceName;
}

test("each state of a cluster asks for its addresses by a name of its own, and gets them, none included", () => {
  const store = new EndpointStore();
  const states: [Cluster, number][] = [
    [cluster("shop"), 1],
    [cluster("shop"), 2],
    [cluster("shop", { idleTimeoutMs: 1 }), 1],
  ];
  const names = states.map(([one, generation]) => {
    const context = contextOf(store, generation);
    const [assignment] = loadAssignments([one], context);
    assert.equal(assignment?.name, askedFor(one, context));
    assert.equal(assignment?.message.clusterName, assignment?.name);
    assert.deepEqual(assignment?.message.endpoints[0]?.lbEndpoints, []);
    return assignment?.name;
  });
  assert.equal(new Set(names).size, states.length);
  const { resolver: _, ...dns } = cluster("dns");
  assert.deepEqual(loadAssignments([dns], contextOf(store)), []);
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
  assert.deepEqual(changesBetween(before, after), { endpoints: [askedFor(shop, context)] });
});
