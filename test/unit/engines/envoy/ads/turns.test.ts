import assert from "node:assert/strict";
import { test } from "node:test";
import { Session } from "../../../../../src/engines/envoy/ads/session.ts";
import { Turns } from "../../../../../src/engines/envoy/ads/turns.ts";
import { TYPE_URLS, type XdsKind } from "../../../../../src/engines/envoy/resources.ts";
import { handClock } from "../../../../support/clock.ts";
import { worldOf } from "../../../../support/xds-world.ts";

/** More clusters than fit into one response. */
const LARGE = worldOf({
  clusters: Object.fromEntries(
    Array.from({ length: 80_000 }, (_, index) => [`cluster-${index}`, 1024 + (index % 60_000)]),
  ),
});

function sessions(count: number) {
  const clock = handClock(0);
  const turns = new Turns(clock, 2);
  const called: number[] = [];
  const made = Array.from({ length: count }, (_, index) => {
    const onReady = (): unknown => called.push(index);
    const session = new Session(
      { clock, orderLimitMs: 5000, onReady: () => void onReady(), turns },
      LARGE,
      "1",
    );
    const { subscription } = session.open(TYPE_URLS["cluster" satisfies XdsKind]) ?? assert.fail();
    session.subscribeAll(subscription);
    return { session, subscription };
  });
  return { clock, called, made };
}

test("a large world comes in parts, all of it", () => {
  const [only] = sessions(1).made;
  assert.ok(only !== undefined);
  let parts = 0;
  for (let next = only.session.next(); next !== null; next = only.session.next()) {
    parts++;
    const bytes = next.batch.resources.reduce((sum, resource) => sum + resource.bytes.length, 0);
    assert.ok(bytes < 1025 * 1024, String(bytes));
    only.session.acknowledge(only.subscription);
  }
  assert.ok(parts > 1);
  assert.equal(only.subscription.held.size, LARGE.cluster.size);
  assert.ok(only.session.isSettled);
});

/** What is left of the client's world comes, and is taken. */
function takeAll({ session, subscription }: ReturnType<typeof sessions>["made"][number]): void {
  do session.acknowledge(subscription);
  while (session.next() !== null);
}

test("a few clients at a time are sent large responses; who has all of them, leaves or is silent makes room", () => {
  const { clock, called, made } = sessions(5);
  const sent = made.map(({ session }) => session.next() !== null);
  assert.deepEqual(sent, [true, true, false, false, false]);
  const [first] = made;
  assert.ok(first !== undefined);
  first.session.acknowledge(first.subscription);
  assert.notEqual(first.session.next(), null);
  // It goes on, instead of others beginning too.
  assert.equal(called.length, 0);
  takeAll(first);
  assert.equal(first.subscription.held.size, LARGE.cluster.size);
  assert.deepEqual(called, [2]);
  assert.notEqual(made[2]?.session.next(), null);
  made[1]?.session.close();
  assert.deepEqual(called, [2, 3]);
  assert.notEqual(made[3]?.session.next(), null);
  // The third and fourth never answer.
  clock.move(10_000);
  assert.ok(called.includes(4));
  assert.notEqual(made[4]?.session.next(), null);
});

test("a turn lasts until none of a client's large responses is under way", () => {
  const { called, made } = sessions(3);
  const [first] = made;
  assert.ok(first !== undefined);
  const { session } = first;
  const { subscription: secrets } = session.open(TYPE_URLS.secret) ?? assert.fail();
  for (const name of LARGE.cluster.keys()) session.subscribe(secrets, `no-secret/${name}`, false);
  assert.deepEqual(
    [session.next()?.subscription.kind, session.next()?.subscription.kind],
    ["secret", "cluster"],
  );
  assert.notEqual(made[1]?.session.next(), null);
  assert.equal(made[2]?.session.next(), null);
  // What waits behind the cluster's response is the same client's.
  session.acknowledge(secrets);
  assert.deepEqual(called, []);
  takeAll(first);
  assert.deepEqual(called, [2]);
});

test("a client that goes on answering keeps its turn, however long the world takes", () => {
  const { clock, called, made } = sessions(3);
  const [first, , last] = made;
  assert.ok(first !== undefined && last !== undefined);
  for (const { session } of made.slice(0, 2)) assert.notEqual(session.next(), null);
  assert.equal(last.session.next(), null);
  for (let part = 0; part < 3; part++) {
    clock.move(6000);
    first.session.acknowledge(first.subscription);
    assert.notEqual(first.session.next(), null);
  }
  // The second one's was over after ten seconds.
  assert.deepEqual(called, [2]);
  assert.notEqual(last.session.next(), null);
  assert.equal(made[1]?.session.next(), null);
});
