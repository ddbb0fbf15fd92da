import assert from "node:assert/strict";
import { Socket } from "node:net";
import { after, describe, it } from "node:test";
import type { Endpoint } from "../../../../src/endpoints/endpoint.ts";
import { ANY_HOST } from "../../../../src/engines/node/upstream/hosts.ts";
import { acquire, eventually, request, type Setup, type SetupOptions, setUp } from "./cluster-setup.ts";
import { type Peer, tcpPeer } from "./peer.ts";

describe("the hosts of a cluster", () => {
  const open: { close(): unknown }[] = [];
  after(() => Promise.all(open.map((one) => one.close())));

  async function peers(count: number): Promise<Peer[]> {
    const made = await Promise.all(Array.from({ length: count }, () => tcpPeer()));
    open.push(...made);
    return made;
  }

  function cluster(
    endpoints: readonly Endpoint[] | (() => readonly Endpoint[]),
    config: SetupOptions["config"] = {},
  ): Setup["cluster"] {
    const resolve = typeof endpoints === "function" ? endpoints : () => endpoints;
    const setup = setUp({ tls: { mode: "cleartext" }, endpoints: { resolve }, config });
    open.push(setup);
    return setup.cluster;
  }

  /** One request after the other, so that connections are idle in between; the address of each. */
  async function addresses(pool: Setup["cluster"], count: number, choice = ANY_HOST): Promise<string[]> {
    const used: string[] = [];
    for (let turn = 0; turn < count; turn++) {
      const { connection } = await request(pool, false, choice);
      used.push(connection?.address ?? "");
      connection?.release(null);
    }
    return used;
  }

  it("round robin really reaches each, over connections that are kept", async () => {
    const three = await peers(3);
    const used = await addresses(cluster(three.map(({ endpoint }) => endpoint)), 9);
    assert.equal(new Set(used.slice(0, 3)).size, 3);
    assert.deepEqual(used.slice(0, 3), used.slice(3, 6));
    assert.deepEqual(
      three.map(({ accepted }) => accepted.length),
      [1, 1, 1],
    );
  });

  it("least request keeps away from the host that is busy", async () => {
    const two = await peers(2);
    const pool = cluster(
      two.map(({ endpoint }) => endpoint),
      { balancer: "least-request" },
    );
    const busy = await request(pool);
    const used = await addresses(pool, 6);
    assert.ok(!used.includes(busy.connection?.address ?? ""), used.join());
  });

  for (const balancer of ["ring-hash", "maglev"] as const) {
    it(`${balancer}: one key, one host; another after a failure there`, async () => {
      const three = await peers(3);
      const pool = cluster(
        three.map(({ endpoint }) => endpoint),
        { balancer },
      );
      const used = await addresses(pool, 5, { ...ANY_HOST, hash: 4711 });
      assert.equal(new Set(used).size, 1);
      const [avoid = ""] = used;
      const others = await addresses(pool, 5, { ...ANY_HOST, hash: 4711, avoid });
      assert.ok(!others.includes(avoid));
    });
  }

  it("an address that left takes its connections with it, busy ones once they are released", async () => {
    const two = await peers(2);
    let endpoints = two.map(({ endpoint }) => endpoint);
    const pool = cluster(() => endpoints);
    await addresses(pool, 2);
    const busy = await Promise.all([request(pool, true), request(pool, true)]);
    assert.deepEqual(pool.stats(), { active: 2, idle: 2 });
    endpoints = endpoints.slice(0, 1);
    await addresses(pool, 1);
    assert.equal(pool.stats().idle, 1);
    for (const { connection } of busy) connection?.release(null);
    assert.deepEqual(pool.stats(), { active: 0, idle: 2 });
    await eventually(() => two[1]?.open.size === 0, "all to the address that left are closed");
    assert.equal(two[0]?.open.size, 2);
  });

  it("an address that refuses is passed over for the next", async () => {
    const [good, gone] = (await peers(2)) as [Peer, Peer];
    await gone.close();
    const pool = cluster([gone.endpoint, good.endpoint]);
    const used = await addresses(pool, 4);
    assert.deepEqual(new Set(used), new Set([`127.0.0.1:${good.endpoint.port}`]));
  });

  it("outlier detection: an address that refuses is left alone", async () => {
    const [good, gone] = (await peers(2)) as [Peer, Peer];
    await gone.close();
    const pool = cluster([gone.endpoint, good.endpoint], {
      outliers: {
        consecutive5xx: 2,
        consecutiveGatewayFailures: 2,
        intervalMs: 10_000,
        baseEjectionMs: 30_000,
        maxEjectionPercent: 10,
      },
      breakers: { default: { maxConnections: 50 } },
    });
    for (let turn = 0; turn < 6; turn++) await acquire(pool, true);
    assert.equal(pool.hosts.filter(({ ejected }) => ejected).length, 1);
  });

  it("logical_dns: new connections go to the address of the day, old ones stay", async () => {
    const two = await peers(2);
    let endpoints = two.map(({ endpoint }) => endpoint);
    const pool = cluster(() => endpoints, { dns: { logical: true } });
    const [first] = await addresses(pool, 1);
    endpoints = endpoints.toReversed();
    assert.deepEqual(await addresses(pool, 2), [first, first]);
    const fresh = await request(pool, true);
    assert.equal(fresh.connection?.address, `127.0.0.1:${endpoints[0]?.port}`);
    assert.deepEqual(pool.stats(), { active: 1, idle: 1 });
  });

  it("connections that are there serve while the name does not resolve", async () => {
    const [peer] = (await peers(1)) as [Peer];
    let failing = false;
    const setup = setUp({
      tls: { mode: "cleartext" },
      endpoints: { resolve: () => (failing ? Promise.reject(new Error("no answer")) : [peer.endpoint]) },
    });
    open.push(setup);
    (await request(setup.cluster)).connection?.release(null);
    failing = true;
    assert.equal((await request(setup.cluster)).received, "answer");
    assert.match((await acquire(setup.cluster, true)).last, /^failed upstream_dns_failure/);
  });

  it("cluster_idle_timeout_ms closes what nobody uses", async () => {
    const [peer] = (await peers(1)) as [Peer];
    const pool = cluster([peer.endpoint], { idleTimeoutMs: 80 });
    await addresses(pool, 1);
    assert.equal(pool.stats().idle, 1);
    await eventually(() => pool.stats().idle === 0, "the idle timeout");
  });

  it("cluster_max_connection_lifetime_ms retires an old connection, and never cuts a request", async () => {
    const [peer] = (await peers(1)) as [Peer];
    const pool = cluster([peer.endpoint], { maxLifetimeMs: 100 });
    await addresses(pool, 1);
    await eventually(() => pool.stats().idle === 0, "idle and old", 1000);
    const busy = await request(pool);
    await new Promise((resolve) => setTimeout(resolve, 250));
    assert.equal(busy.last, "data");
    busy.connection?.release(null);
    assert.deepEqual(pool.stats(), { active: 0, idle: 0 });
  });

  it("keepalive is set as it is written, the rest as Linux has it", async (test) => {
    const [peer] = (await peers(1)) as [Peer];
    const set = test.mock.method(Socket.prototype, "setKeepAlive");
    await request(cluster([peer.endpoint]));
    assert.equal(set.mock.callCount(), 0);
    await request(cluster([peer.endpoint], { keepalive: { idleSeconds: 100, probes: 3 } }));
    assert.deepEqual(set.mock.calls[0]?.arguments, [true, 100_000, 75_000, 3]);
  });
});
