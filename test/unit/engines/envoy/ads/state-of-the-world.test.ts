import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import type { AdsServer } from "../../../../../src/engines/envoy/ads/server.ts";
import { ClusterSchema } from "../../../../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { RouteConfigurationSchema } from "../../../../../src/protobuf/generated/envoy/config/route/v3/route_pb.js";
import type { DiscoveryResponse } from "../../../../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import { startAdsSocket } from "../../../../support/ads-socket.ts";
import { WorldClient } from "../../../../support/world-client.ts";
import { type World, worldOf } from "../../../../support/xds-world.ts";

async function start(
  t: TestContext,
): Promise<{ ads: AdsServer; connect(): WorldClient; publish(world: World): void }> {
  const { ads, path, clients } = await startAdsSocket(t);
  let snapshot = worldOf({});
  let number = 0;
  return {
    ads,
    connect() {
      const client = new WorldClient(path);
      clients.push(client);
      return client;
    },
    publish(world) {
      snapshot = worldOf(world, snapshot);
      ads.publish("all", snapshot, String(++number));
    },
  };
}

const clusters = (response: DiscoveryResponse | undefined): string[] =>
  (response?.resources ?? [])
    .map(({ value }) => {
      const { name, loadAssignment } = fromBinary(ClusterSchema, value);
      const endpoint = loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier;
      const address = endpoint?.case === "endpoint" ? endpoint.value.address?.address : undefined;
      const port = address?.case === "socketAddress" ? address.value.portSpecifier.value : undefined;
      return `${name}:${port}`;
    })
    .sort();

test("every response about clusters holds all of them; a removal is an absence", async (t) => {
  const { publish, connect, ads } = await start(t);
  publish({ clusters: { a: 1, b: 2 } });
  const client = connect();
  client.send("cluster");
  await client.until(() => client.responses.length === 1);
  assert.deepEqual(clusters(client.responses[0]), ["a:1", "b:2"]);
  client.answer("cluster", []);
  publish({ clusters: { a: 1, b: 3 } });
  await client.until(() => client.responses.length === 2);
  assert.deepEqual(clusters(client.responses[1]), ["a:1", "b:3"]);
  client.answer("cluster", []);
  publish({ clusters: { a: 1 } });
  await client.until(() => client.responses.length === 3);
  assert.deepEqual(clusters(client.responses[2]), ["a:1"]);
  client.answer("cluster", []);
  await client.until(() => ads.clients[0]?.revision === "3");
  assert.equal(ads.clients[0]?.protocol, "state-of-the-world");
});

test("route configurations come whole, with their virtual hosts inside and no VHDS", async (t) => {
  const { publish, connect } = await start(t);
  const hosts = { http: { "a.example": [["/", "=a"]], "b.example": [["/", "=b"]] }, other: {} } as const;
  publish({ hosts });
  const client = connect();
  client.send("route-configuration", { resourceNames: ["http", "none"] });
  await client.until(() => client.responses.length === 1);
  const read = (index: number) =>
    client.responses[index]?.resources.map(({ value }) => fromBinary(RouteConfigurationSchema, value));
  assert.deepEqual(
    read(0)?.map(({ name, vhds, virtualHosts }) => [
      name,
      vhds,
      virtualHosts.flatMap(({ domains }) => domains),
    ]),
    [["http", undefined, ["a.example", "b.example"]]],
  );
  client.answer("route-configuration", ["http", "none"]);
  publish({ hosts: { ...hosts, http: { ...hosts.http, "c.example": [["/", "=c"]] } } });
  await client.until(() => client.responses.length === 2);
  assert.equal(read(1)?.[0]?.virtualHosts.length, 3);
  client.answer("route-configuration", ["http", "none", "other"]);
  await client.until(() => client.responses.length === 3);
  assert.deepEqual(
    read(2)?.map(({ name }) => name),
    ["other"],
  );
});

test("a stale nonce says nothing, and a client that has everything is sent nothing", async (t) => {
  const { publish, connect, ads } = await start(t);
  publish({ clusters: { a: 1 } });
  const first = connect();
  first.send("cluster");
  await first.until(() => first.responses.length === 1);
  first.send("cluster", { responseNonce: "stale", versionInfo: "x" });
  publish({ clusters: { a: 2 } });
  first.send("secret", { resourceNames: ["none"] });
  await first.until(() => ads.clients[0]?.kinds.secret?.pending === 0);
  assert.equal(first.responses.length, 1);
  first.answer("cluster", []);
  await first.until(() => first.responses.length === 2);
  first.answer("cluster", []);
  const versionInfo = first.responses[1]?.versionInfo as string;
  await first.until(() => ads.clients[0]?.revision === "2");
  await first.close();
  const second = connect();
  second.send("cluster", { versionInfo });
  await second.until(() => ads.clients.some(({ revision }) => revision === "2"));
  assert.equal(second.responses.length, 0);
  publish({ clusters: { a: 2, b: 1 } });
  await second.until(() => second.responses.length === 1);
  assert.deepEqual(clusters(second.responses[0]), ["a:2", "b:1"]);
});

test("a refused resource keeps its last good version, and nothing is taken away while it is looked for", async (t) => {
  const { publish, connect, ads } = await start(t);
  const names = ["a", "b", "c", "d", "e"];
  const all = (port: number): Record<string, number> => Object.fromEntries(names.map((name) => [name, port]));
  publish({ clusters: all(1) });
  const client = connect();
  client.send("cluster");
  await client.until(() => client.responses.length === 1);
  client.answer("cluster", []);
  publish({ clusters: all(2) });
  for (let count = 2; ads.clients[0]?.revision !== "2"; ) {
    if (client.responses.length < count) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      continue;
    }
    count++;
    const last = clusters(client.responses.at(-1));
    assert.equal(last.length, names.length);
    client.answer("cluster", [], last.includes("c:2") ? "c is bad" : undefined);
  }
  assert.deepEqual(
    [...(ads.clients[0]?.nacks ?? [])].map(({ name, detail, instead }) => [name, detail, instead]),
    [["c", "c is bad", "last-good"]],
  );
  const good = client.responses.findLast((response) => !clusters(response).includes("c:2"));
  assert.deepEqual(clusters(good), ["a:2", "b:2", "c:1", "d:2", "e:2"]);
});
