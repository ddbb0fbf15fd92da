import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import type { Authorize } from "../../../../../src/engines/envoy/ads/client.ts";
import type { AdsServer } from "../../../../../src/engines/envoy/ads/server.ts";
import type { Snapshot } from "../../../../../src/engines/envoy/ads/snapshot.ts";
import type { XdsKind } from "../../../../../src/engines/envoy/resources.ts";
import { startAdsSocket } from "../../../../support/ads-socket.ts";
import { DeltaClient, type DeltaClientOptions } from "../../../../support/delta-client.ts";
import { type World, worldOf } from "../../../../support/xds-world.ts";

const ALL: Authorize = () => ({ group: "all", identity: "test" });

interface Bench {
  readonly ads: AdsServer;
  readonly path: string;
  publish(world: World): Snapshot;
  client(options?: Partial<DeltaClientOptions>, held?: DeltaClient["held"]): DeltaClient;
}

async function start(t: TestContext, authorize: Authorize = ALL, orderLimitMs = 5000): Promise<Bench> {
  const { ads, path, clients } = await startAdsSocket(t, { authorize, orderLimitMs });
  let snapshot: Snapshot | undefined;
  let number = 0;
  return {
    ads,
    path,
    publish(world) {
      snapshot = worldOf(world, snapshot);
      ads.publish("all", snapshot, String(++number));
      return snapshot;
    },
    client(options, held) {
      const client = new DeltaClient({ path, node: "node-1", ...options }, held);
      clients.push(client);
      return client;
    },
  };
}

const SHOP: World = {
  listeners: { http: 8080 },
  clusters: { shop: 9000 },
  hosts: { http: { "a.example": [["/", "shop"]], "b.example": [["/", "shop"]] } },
};

/** Subscribes as Envoy does. */
function likeEnvoy(client: DeltaClient, routes: readonly string[] = ["http"]): DeltaClient {
  client.subscribeAll("cluster");
  client.subscribeAll("listener");
  client.subscribe("route-configuration", routes);
  client.subscribeAll("virtual-host");
  return client;
}

const order = (client: DeltaClient): string[] =>
  client.seen.map(({ kind, names, removed }) =>
    [kind, ...[...names].sort(), ...[...removed].sort().map((name) => `-${name}`)].join(" "),
  );

const settled = (bench: Bench) => (): boolean => {
  const clients = bench.ads.clients;
  return clients.length > 0 && clients.every(({ isSettled }) => isSettled);
};

const holds = (client: DeltaClient, kind: XdsKind): string[] => [...client.held[kind].keys()].sort();

test("a client gets what it asks for, clusters first and virtual hosts after their route configuration", async (t) => {
  const bench = await start(t);
  bench.publish(SHOP);
  const client = likeEnvoy(bench.client());
  await client.until(settled(bench));
  assert.deepEqual(order(client), [
    "cluster shop",
    "listener http",
    "route-configuration http",
    "virtual-host http/a.example http/b.example",
  ]);
  const [seen] = bench.ads.clients;
  assert.equal(seen?.node, "node-1");
  assert.equal(seen?.revision, "1");
  assert.equal(seen?.kinds.cluster?.subscribed, "*");
  assert.equal(seen?.kinds["route-configuration"]?.subscribed, 1);
  assert.deepEqual(
    [...(seen?.kinds["virtual-host"]?.acknowledged.keys() ?? [])],
    ["http/a.example", "http/b.example"],
  );
});

test("a change sends what changed, to whom it concerns", async (t) => {
  const bench = await start(t);
  bench.publish(SHOP);
  const client = likeEnvoy(bench.client());
  await client.until(settled(bench));
  client.seen.length = 0;
  bench.publish({ ...SHOP, hosts: { http: { "a.example": [["/", "=new"]], "b.example": [["/", "shop"]] } } });
  await client.until(settled(bench));
  assert.deepEqual(order(client), ["virtual-host http/a.example"]);
  // The same again: nothing.
  bench.publish({ ...SHOP, hosts: { http: { "a.example": [["/", "=new"]], "b.example": [["/", "shop"]] } } });
  await client.until(() => bench.ads.clients[0]?.revision === "3");
  assert.equal(client.seen.length, 1);
});

test("nothing is sent before there is anything to send, and an empty world is an answer", async (t) => {
  const bench = await start(t);
  const client = likeEnvoy(bench.client());
  await client.until(() => bench.ads.clients.length === 1);
  bench.publish({});
  await client.until(settled(bench).bind(null));
  assert.deepEqual(order(client).sort(), [
    "cluster",
    "listener",
    "route-configuration -http",
    "virtual-host",
  ]);
});

test("a name that is not there is answered as removed at once, and sent when it comes", async (t) => {
  const bench = await start(t);
  bench.publish(SHOP);
  const client = bench.client();
  client.subscribe("secret", ["credential:none"]);
  await client.until(() => client.seen.length === 1);
  assert.deepEqual(client.seen[0]?.removed, ["credential:none"]);
  client.subscribe("route-configuration", ["later"]);
  await client.until(() => client.seen.length === 2);
  assert.deepEqual(client.seen[1]?.removed, ["later"]);
  client.subscribeAll("virtual-host");
  await client.until(() => client.seen.length === 3);
  bench.publish({ ...SHOP, hosts: { later: { "c.example": [["/", "shop"]] } } });
  await client.until(() => client.seen.length === 5);
  assert.deepEqual(order(client).slice(3), ["route-configuration later", "virtual-host later/c.example"]);
});

test("a reconnected client gets only what it lacks, and hears of what is gone", async (t) => {
  const bench = await start(t);
  bench.publish(SHOP);
  const first = likeEnvoy(bench.client());
  await first.until(settled(bench));
  await first.close();
  await first.until(() => bench.ads.clients.length === 0);
  const second = likeEnvoy(bench.client({}, first.held));
  await second.until(settled(bench));
  assert.deepEqual(second.seen, []);
  await second.close();
  await second.until(() => bench.ads.clients.length === 0);
  bench.publish({ ...SHOP, hosts: { http: { "b.example": [["/", "=b"]], "c.example": [["/", "shop"]] } } });
  const third = likeEnvoy(bench.client({}, second.held));
  await third.until(settled(bench));
  assert.deepEqual(order(third), ["virtual-host http/b.example http/c.example -http/a.example"]);
});

test("a route configuration that is asked for again comes with all of its virtual hosts", async (t) => {
  const bench = await start(t);
  bench.publish(SHOP);
  const client = likeEnvoy(bench.client());
  await client.until(settled(bench));
  client.seen.length = 0;
  client.send("route-configuration", { resourceNamesUnsubscribe: ["http"] });
  client.send("route-configuration", { resourceNamesSubscribe: ["http"] });
  await client.until(() => client.seen.length === 2);
  assert.deepEqual(order(client), ["route-configuration http", "virtual-host http/a.example http/b.example"]);
});

test("virtual hosts of route configurations that nobody asked for are not sent", async (t) => {
  const bench = await start(t);
  bench.publish({ ...SHOP, hosts: { ...SHOP.hosts, other: { "c.example": [["/", "shop"]] } } });
  const client = likeEnvoy(bench.client());
  await client.until(() => holds(client, "virtual-host").length === 2);
  bench.publish({ ...SHOP, hosts: { ...SHOP.hosts, other: { "c.example": [["/", "=x"]] } } });
  await client.until(() => bench.ads.clients.every(({ kinds }) => kinds["virtual-host"]?.pending === 0));
  assert.deepEqual(holds(client, "virtual-host"), ["http/a.example", "http/b.example"]);
});

test("a route waits until its new cluster is acknowledged; others do not; what is not used goes last", async (t) => {
  const bench = await start(t);
  bench.publish(SHOP);
  const client = likeEnvoy(bench.client({ answers: false }));
  const answer = (kind: string): void => {
    const response = client.responses.findLast(({ typeUrl }) => typeUrl.endsWith(kind));
    assert.ok(response);
    client.acknowledge(response);
  };
  await client.until(() => client.seen.length === 3);
  assert.ok(!client.seen.some(({ kind }) => kind === "virtual-host"));
  answer("Cluster");
  await client.until(() => client.seen.length === 4);
  for (const kind of ["Listener", "RouteConfiguration", "VirtualHost"]) answer(kind);
  await client.until(settled(bench));
  client.seen.length = 0;
  bench.publish({
    listeners: { http: 8080 },
    clusters: { fresh: 9001 },
    hosts: { http: { "a.example": [["/", "fresh"]], "b.example": [["/", "=b"]] } },
  });
  await client.until(() => client.seen.length === 2);
  assert.deepEqual(order(client), ["cluster fresh", "virtual-host http/b.example"]);
  answer("VirtualHost");
  answer("Cluster");
  await client.until(() => client.seen.length === 3);
  assert.equal(order(client)[2], "virtual-host http/a.example");
  answer("VirtualHost");
  await client.until(() => client.seen.length === 4);
  assert.equal(order(client)[3], "cluster -shop");
});

test("a cluster that is never acknowledged holds its routes up for a while only", async (t) => {
  const bench = await start(t, ALL, 100);
  bench.publish(SHOP);
  const client = likeEnvoy(bench.client({ answers: false }));
  await client.until(() => client.seen.some(({ kind }) => kind === "virtual-host"));
  assert.equal(client.seen[0]?.kind, "cluster");
});

test("one response of a type is under way at a time; a stale nonce says nothing; newer state is coalesced", async (t) => {
  const bench = await start(t);
  bench.publish(SHOP);
  const client = bench.client({ answers: false });
  client.subscribeAll("cluster");
  await client.until(() => client.seen.length === 1);
  for (const port of [9001, 9002, 9003]) bench.publish({ ...SHOP, clusters: { shop: port } });
  client.send("cluster", { responseNonce: "nonsense" });
  // Another type is answered meanwhile: the stale nonce was read by then.
  client.subscribe("secret", ["none"]);
  await client.until(() => client.seen.length === 2);
  assert.deepEqual(order(client), ["cluster shop", "secret -none"]);
  client.acknowledge(client.responses[0] as never);
  await client.until(() => client.seen.length === 3);
  assert.equal(order(client)[2], "cluster shop");
  client.acknowledge(client.responses[2] as never);
  client.acknowledge(client.responses[1] as never);
  await client.until(settled(bench));
  assert.equal(bench.ads.clients[0]?.revision, "4");
});

test("a client that may have nothing is told so, and never that there is nothing", async (t) => {
  const bench = await start(t, ({ node }) =>
    node.id === "good"
      ? { group: "all", identity: "x" }
      : { refused: "permission-denied", message: "who are you" },
  );
  bench.publish(SHOP);
  const client = likeEnvoy(bench.client({ node: "bad" }));
  await client.ended;
  assert.match(String(ConnectError.from(client.failure)), /permission_denied.*who are you/);
  assert.deepEqual(client.seen, []);
});

test("what is refused is found by halves; the rest is delivered, and the last good one stays", async (t) => {
  const bench = await start(t);
  const clusters = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`c${i}`, 9000 + i]));
  bench.publish({ clusters });
  let bad = new Set<string>();
  const client = bench.client({
    judge: ({ resources }) => {
      const found = resources
        .filter(({ name, version }) => bad.has(`${name} ${version}`))
        .map(({ name }) => name);
      return found.length === 0 ? undefined : `bad: ${found.join()}`;
    },
  });
  client.subscribeAll("cluster");
  await client.until(settled(bench));
  const before = new Map(client.held.cluster);
  const next = Object.fromEntries(Object.keys(clusters).map((name) => [name, 9500]));
  const snapshot = worldOf({ clusters: next });
  bad = new Set(["c3", "c11"].map((name) => `${name} ${snapshot.cluster.get(name)?.version}`));
  bench.publish({ clusters: next });
  await client.until(settled(bench));
  for (const name of Object.keys(clusters)) {
    const expected = name === "c3" || name === "c11" ? before.get(name) : snapshot.cluster.get(name)?.version;
    assert.equal(client.held.cluster.get(name), expected, name);
  }
  const [state] = bench.ads.clients;
  assert.deepEqual(
    state?.nacks.map(({ name, detail, instead, from }) => [name, detail, instead, from]),
    ["c3", "c11"].map((name) => [name, `bad: ${name}`, "last-good", [`mapping/default/${name}`]]),
  );
  assert.equal(state?.revision, "2");
  // Not again, until it changes.
  client.seen.length = 0;
  bench.publish({ clusters: { ...next, c0: 9501 } });
  await client.until(() => bench.ads.clients[0]?.revision === "3");
  assert.deepEqual(order(client), ["cluster c0"]);
  bench.publish({ clusters: { ...next, c3: 9502 } });
  await client.until(() => bench.ads.clients[0]?.nacks.length === 1);
  await client.until(settled(bench));
  assert.equal(client.held.cluster.get("c3"), worldOf({ clusters: { c3: 9502 } }).cluster.get("c3")?.version);
});

const ADDRESSED: World = {
  clusters: { shop: 9000, desk: 9001 },
  endpoints: { shop: ["10.0.0.1"], desk: [] },
};

test("a cluster that changes is followed by its addresses, which the client has for the one before it", async (t) => {
  const bench = await start(t);
  bench.publish(ADDRESSED);
  const client = bench.client();
  client.subscribeAll("cluster");
  client.subscribe("endpoints", ["shop", "desk"]);
  await client.until(settled(bench));
  assert.deepEqual(order(client), ["cluster desk shop", "endpoints desk shop"]);
  client.seen.length = 0;
  bench.publish({ ...ADDRESSED, clusters: { shop: 9010, desk: 9001 } });
  await client.until(settled(bench));
  assert.deepEqual(order(client), ["cluster shop", "endpoints shop"]);
  client.seen.length = 0;
  bench.publish({ ...ADDRESSED, clusters: { shop: 9010, desk: 9001 }, endpoints: { shop: [], desk: [] } });
  await client.until(settled(bench));
  assert.deepEqual(order(client), ["endpoints shop"]);
});

test("so it is for a client that comes back with both: what it has is of the cluster before", async (t) => {
  const bench = await start(t);
  bench.publish(ADDRESSED);
  const first = bench.client();
  first.subscribeAll("cluster");
  first.subscribe("endpoints", ["shop", "desk"]);
  await first.until(settled(bench));
  await first.close();
  bench.publish({ ...ADDRESSED, clusters: { shop: 9010, desk: 9001 } });
  const second = bench.client({ node: "node-2" }, first.held);
  second.subscribeAll("cluster");
  // As Envoy does where it has taken the clusters before it says anything of addresses.
  await second.until(() => second.seen.length === 1);
  second.subscribe("endpoints", ["shop", "desk"]);
  await second.until(() => second.seen.length === 2 && settled(bench)());
  assert.deepEqual(order(second), ["cluster shop", "endpoints shop"]);
});
