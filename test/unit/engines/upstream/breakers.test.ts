import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ANY_HOST, type Choice } from "../../../../src/engines/node/upstream/hosts.ts";
import type { CircuitBreaker } from "../../../../src/model/cluster.ts";
import { acquire, eventually, Requester, request, type Setup, setUp } from "./cluster-setup.ts";
import { type Peer, tcpPeer } from "./peer.ts";

describe("circuit breakers", () => {
  let peer: Peer;
  const open: { close(): unknown }[] = [];
  const HIGH: Choice = { ...ANY_HOST, priority: "high" };

  before(async () => {
    peer = await tcpPeer();
    open.push(peer);
  });
  after(() => Promise.all(open.map((one) => one.close())));

  function cluster(limits: CircuitBreaker, high?: CircuitBreaker): Setup["cluster"] {
    const setup = setUp({
      tls: { mode: "cleartext" },
      endpoints: [peer.endpoint],
      config: { breakers: { default: limits, ...(high === undefined ? {} : { high }) } },
    });
    open.push(setup);
    return setup.cluster;
  }

  it("max_requests: one more is refused at once, and let in again later", async () => {
    const pool = cluster({ maxRequests: 2 });
    const [first] = [await request(pool), await request(pool)];
    const third = new Requester();
    pool.acquire(third, false);
    assert.equal(third.last, "failed overloaded: 2 requests to cluster are in flight");
    first.connection?.release(null);
    assert.equal((await request(pool)).received, "answer");
  });

  it("max_requests holds for those who were let in to wait for a connection, too", async () => {
    const pool = cluster({ maxRequests: 1 });
    const both = await Promise.all([acquire(pool), acquire(pool)]);
    assert.deepEqual(both.map(({ last }) => last.slice(0, 17)).sort(), ["failed overloaded", "ready"]);
    assert.deepEqual(pool.stats(), { active: 1, idle: 1 }, "the connection is kept");
  });

  it("max_connections: what comes then waits its turn, and gets what is free", async () => {
    const pool = cluster({ maxConnections: 1 });
    const first = await request(pool);
    const accepted = peer.accepted.length;
    const [second, third, left] = [new Requester(), new Requester(), new Requester()];
    pool.acquire(second, false);
    pool.acquire(left, false);
    pool.acquire(third, false);
    pool.cancel(left);
    assert.deepEqual([second.events, third.events], [[], []]);
    first.connection?.release(null);
    assert.equal(second.connection, first.connection);
    second.connection?.destroy();
    await third.until(() => third.last === "ready");
    assert.deepEqual(left.events, []);
    assert.equal(peer.accepted.length - accepted, 1, "one after the other");
  });

  it("max_pending_requests: beyond it, at once", async () => {
    const pool = cluster({ maxConnections: 1, maxPendingRequests: 1 });
    await request(pool);
    const [second, third] = [new Requester(), new Requester()];
    pool.acquire(second, false);
    pool.acquire(third, false);
    assert.deepEqual(second.events, []);
    assert.equal(third.last, "failed overloaded: 1 requests wait for a connection to cluster");
  });

  it("those who wait learn that there is no credential, or no cluster any more", async () => {
    const pool = cluster({ maxConnections: 1 });
    await request(pool);
    const waiting = new Requester();
    pool.acquire(waiting, false);
    pool.close(0);
    assert.equal(waiting.last, "failed upstream_connect_failed: its cluster is gone");
  });

  it("priorities have their own connections and limits", async () => {
    const pool = cluster({ maxConnections: 1, maxPendingRequests: 0 }, { maxRequests: 1 });
    const high = await request(pool, false, HIGH);
    assert.equal(high.received, "answer");
    assert.match((await acquire(pool, false, HIGH)).last, /^failed overloaded: 1 requests/);
    assert.match((await acquire(pool)).last, /^failed overloaded: 0 requests wait/);
    high.connection?.release(null);
    assert.equal((await acquire(pool, false, HIGH)).connection, high.connection);
  });

  it("max_retries: 3 unless written", () => {
    const breaker = cluster({}).breaker("default");
    assert.deepEqual(
      [1, 2, 3, 4].map(() => breaker.beginRetry()),
      [true, true, true, false],
    );
    breaker.endRetry();
    assert.ok(breaker.beginRetry());
    assert.equal(cluster({ maxRetries: 0 }).breaker("default").beginRetry(), false);
  });

  it("counts nothing that is over", async () => {
    const pool = cluster({ maxRequests: 3 });
    for (let turn = 0; turn < 3; turn++) {
      (await request(pool)).connection?.release(null);
      (await request(pool)).connection?.destroy();
      const cut = await request(pool, true);
      peer.accepted.at(-1)?.resetAndDestroy();
      await cut.until(() => cut.last.startsWith("closed"));
    }
    await eventually(() => pool.stats().active === 0, "all are over");
    assert.equal(pool.breaker("default").requests, 0);
  });

  it("whoever comes and goes in whatever order: nobody is forgotten, no bound is passed", async () => {
    const pool = cluster({ maxConnections: 3, maxPendingRequests: 4, maxRequests: 3 });
    const held: Requester[] = [];
    const waiting = new Set<Requester>();
    const settle = (): void => {
      for (const requester of waiting) {
        if (requester.events.length === 0) continue;
        waiting.delete(requester);
        assert.match(requester.events.join(), /^(?:ready|failed overloaded.*)$/);
        if (requester.last === "ready") held.push(requester);
      }
      assert.ok(held.length <= 3 && waiting.size <= 4, `${held.length} and ${waiting.size}`);
    };
    let served = 0;
    for (let turn = 0; turn < 600; turn++) {
      const dice = Math.random();
      if (dice < 0.5) {
        const requester = new Requester();
        waiting.add(requester);
        pool.acquire(requester, dice < 0.05);
      } else if (dice < 0.6) {
        const [leaving] = waiting;
        if (leaving !== undefined) {
          waiting.delete(leaving);
          pool.cancel(leaving);
        }
      } else {
        const done = held.shift();
        if (done !== undefined) served++;
        if (dice < 0.9) done?.connection?.release(null);
        else done?.connection?.destroy();
      }
      settle();
      if (turn % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      settle();
    }
    assert.ok(served > 50, `${served} served`);
    while (waiting.size > 0 || held.length > 0) {
      held.shift()?.connection?.release(null);
      await new Promise((resolve) => setTimeout(resolve, 2));
      settle();
    }
    assert.equal(pool.breaker("default").requests, 0);
    assert.equal(pool.stats().active, 0);
  });
});
