import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { acquire, eventually, Requester, request, type SetupOptions, setUp } from "./cluster-setup.ts";
import { type Peer, tcpPeer } from "./peer.ts";

describe("upstream connections between requests", () => {
  let peer: Peer;
  const open: { close(): unknown }[] = [];

  before(async () => {
    peer = await tcpPeer();
    open.push(peer);
  });
  after(() => Promise.all(open.map((one) => one.close())));

  function cluster(options: Partial<SetupOptions> = {}) {
    const setup = setUp({ tls: { mode: "cleartext" }, endpoints: [peer.endpoint], ...options });
    open.push(setup);
    return setup.cluster;
  }

  it("gives an idle connection at once, the last used first", async () => {
    const pool = cluster();
    const [first, second] = [await request(pool), await request(pool)];
    assert.deepEqual(pool.stats(), { active: 2, idle: 0 });
    first.connection?.release(null);
    second.connection?.release(null);
    assert.deepEqual(pool.stats(), { active: 0, idle: 2 });
    const third = new Requester();
    pool.acquire(third, false);
    assert.equal(third.connection, second.connection);
    assert.equal(third.connection?.served, 1);
    third.connection?.write("again");
    await third.until(() => third.received === "answer");
  });

  it("makes a new connection when asked to, though one is idle", async () => {
    const pool = cluster();
    const first = await request(pool);
    first.connection?.release(null);
    const second = await request(pool, true);
    assert.notEqual(second.connection, first.connection);
    assert.deepEqual(pool.stats(), { active: 1, idle: 1 });
  });

  it("forgets an idle connection that the peer closes or speaks on, and tells nobody", async () => {
    const pool = cluster();
    for (const act of [
      (at: number) => peer.accepted[at]?.end(),
      (at: number) => peer.accepted[at]?.resetAndDestroy(),
      (at: number) => peer.accepted[at]?.write("unasked"),
    ]) {
      const requester = await request(pool);
      requester.connection?.release(null);
      act(peer.accepted.length - 1);
      await eventually(() => pool.stats().idle === 0, "the stale connection is gone");
      assert.deepEqual(requester.events, ["ready", "data"]);
    }
  });

  it("does not keep what was left unread while it was paused", async () => {
    const pool = cluster();
    const requester = await request(pool);
    requester.connection?.pause();
    peer.accepted.at(-1)?.write("more than was asked for");
    await new Promise((resolve) => setTimeout(resolve, 50));
    requester.connection?.release(null);
    assert.equal(pool.stats().idle, 0);
    const next = await request(pool);
    assert.equal(next.received, "answer");
    assert.notEqual(next.connection, requester.connection);
    await eventually(() => pool.stats().active === 1, "the other connection is gone");
    assert.equal(pool.stats().idle, 0);
  });

  it("keeps one that is paused when its request is over, as soon as nothing is left unread", async () => {
    const pool = cluster();
    const requester = await request(pool);
    requester.connection?.pause();
    requester.connection?.release(null);
    await eventually(() => pool.stats().idle === 1, "it is idle");
    const next = await request(pool);
    assert.equal(next.connection, requester.connection);
    assert.equal(next.received, "answer");
  });

  it("tells its user once when the peer ends or resets", async () => {
    const pool = cluster();
    const ended = await request(pool);
    peer.accepted.at(-1)?.end();
    await ended.until(() => ended.last === "closed upstream_reset: closed by the upstream");
    const reset = await request(pool);
    peer.accepted.at(-1)?.resetAndDestroy();
    await reset.until(() => reset.last === "closed upstream_reset: ECONNRESET");
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([ended.events.length, reset.events.length], [3, 3]);
    ended.connection?.release(null);
    ended.connection?.destroy();
    assert.deepEqual(pool.stats(), { active: 0, idle: 0 });
  });

  it("closes what is idle too long, a second before the peer's own patience ends", async () => {
    const brief = cluster({ limits: { upstreamIdleMs: 60 } });
    (await request(brief)).connection?.release(null);
    assert.equal(brief.stats().idle, 1);
    await eventually(() => brief.stats().idle === 0, "the idle timeout");

    const pool = cluster();
    (await request(pool)).connection?.release(1);
    assert.equal(pool.stats().idle, 0, "one second leaves no time at all");
    const before = peer.open.size;
    (await request(pool)).connection?.release(1.1);
    assert.equal(pool.stats().idle, 1);
    await eventually(() => pool.stats().idle === 0 && peer.open.size <= before, "closed 100 ms later");
  });

  it("is bounded, and an idle connection makes room for a fresh one", async () => {
    const pool = cluster({ limits: { maxUpstreamConnections: 2 } });
    const [first, second] = [await request(pool), await request(pool)];
    assert.match((await acquire(pool)).last, /^failed overloaded: all 2 connections to cluster/);
    second.connection?.release(null);
    assert.equal((await request(pool, true)).received, "answer");
    assert.deepEqual(pool.stats(), { active: 2, idle: 0 });
    first.connection?.release(null);
    assert.equal((await acquire(pool)).connection, first.connection);
  });

  it("lets go of an attempt whose user has left", async () => {
    const pool = cluster();
    const requester = new Requester();
    pool.acquire(requester, false);
    pool.cancel(requester);
    assert.deepEqual(pool.stats(), { active: 0, idle: 0 });
    await request(pool);
    assert.deepEqual(requester.events, []);
    pool.cancel(requester);
  });

  it("holds back both ways", async () => {
    let taken = 0;
    const slow = await tcpPeer((socket) => {
      socket.pause();
      setTimeout(() => socket.on("data", (chunk) => (taken += chunk.length)).resume(), 50);
    });
    open.push(slow);
    const requester = await acquire(cluster({ endpoints: [slow.endpoint] }));
    const piece = Buffer.alloc(1024 * 1024);
    let pieces = 1;
    while (requester.connection?.writeBytes(piece) === true) pieces++;
    for (; pieces < 32; pieces++) requester.connection?.writeBytes(piece);
    await requester.until(() => requester.last === "drain");
    await eventually(() => taken === 32 * piece.length, "all of it arrives");

    requester.connection?.pause();
    slow.accepted[0]?.write("later");
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(requester.received, "");
    requester.connection?.resume();
    await requester.until(() => requester.received === "later");
  });

  it("closes with its cluster: idle now, busy on release, the rest after the grace", async () => {
    const pool = cluster();
    const [idle, busy, stuck] = [await request(pool), await request(pool), await request(pool)];
    idle.connection?.release(null);
    pool.close(150);
    assert.deepEqual(pool.stats(), { active: 2, idle: 0 });
    busy.connection?.release(null);
    assert.deepEqual(pool.stats(), { active: 1, idle: 0 });
    // The one retry of a request that began before.
    const late = await request(pool, true);
    assert.equal(late.received, "answer");
    late.connection?.release(null);
    assert.deepEqual(pool.stats(), { active: 1, idle: 0 });
    await stuck.until(() => stuck.last === "closed upstream_reset: its cluster is gone");
    assert.deepEqual(pool.stats(), { active: 0, idle: 0 });
  });

  it("closes at once without a grace, attempts included", async () => {
    const pool = cluster();
    const [busy, waiting] = [await request(pool), new Requester()];
    pool.acquire(waiting, true);
    pool.close(0);
    assert.equal(busy.last, "closed upstream_reset: its cluster is gone");
    assert.equal(waiting.last, "failed upstream_connect_failed: its cluster is gone");
  });
});
