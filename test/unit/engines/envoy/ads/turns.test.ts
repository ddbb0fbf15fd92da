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
    Array.from({ length: 20_000 }, (_, index) => [`cluster-${index}`, 1024 + index]),
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
    assert.ok(bytes < 520 * 1024, String(bytes));
    only.session.acknowledge(only.subscription);
  }
  assert.ok(parts > 1);
  assert.equal(only.subscription.held.size, LARGE.cluster.size);
  assert.ok(only.session.isSettled);
});

test("a few clients at a time are sent large responses; who answers, leaves or is silent makes room", () => {
  const { clock, called, made } = sessions(5);
  const sent = made.map(({ session }) => session.next() !== null);
  assert.deepEqual(sent, [true, true, false, false, false]);
  made[0]?.session.acknowledge(made[0].subscription);
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
  const { session, subscription } = first;
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
  session.acknowledge(subscription);
  assert.deepEqual(called, [2]);
});
