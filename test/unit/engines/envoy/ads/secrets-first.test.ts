import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Session } from "../../../../../src/engines/envoy/ads/session.ts";
import { changesBetween, type Snapshot, snapshotOf } from "../../../../../src/engines/envoy/ads/snapshot.ts";
import { Turns } from "../../../../../src/engines/envoy/ads/turns.ts";
import { resource, TYPE_URLS, type XdsResource } from "../../../../../src/engines/envoy/resources.ts";
import { REVISION, revisionSecret } from "../../../../../src/engines/envoy/revision-secret.ts";
import { ClusterSchema } from "../../../../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { SecretSchema } from "../../../../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { handClock } from "../../../../support/clock.ts";

const LIMIT_MS = 5000;

test("a new generation of a cluster does not overtake its secret, which waits behind another one's", () => {
  const clock = handClock(0);
  const first = world({ a: 1, b: 1 });
  const session = sessionOf(first, clock);
  const { secrets, clusters, sent } = subscribed(session, ["credential:a", "credential:b"]);
  assert.deepEqual(
    [sent(), sent()],
    [
      ["credential:a", "credential:b"],
      ["cluster-a", "cluster-b"],
    ],
  );
  session.acknowledge(secrets);
  session.acknowledge(clusters);

  const second = world({ a: 2, b: 1 }, first);
  session.update(second, changesBetween(first, second), "1");
  assert.deepEqual([sent(), sent()], [["credential:a"], ["cluster-a"]]);
  session.acknowledge(clusters);
  const third = world({ a: 2, b: 2 }, second);
  session.update(third, changesBetween(second, third), "1");
  assert.equal(sent(), undefined, "the client has not answered to the secret before");
  session.acknowledge(secrets);
  assert.deepEqual([sent(), sent()], [["credential:b"], ["cluster-b"]]);
  session.acknowledge(clusters);

  // Nothing would retire the connections of a client that was too slow for them; what it does not have yet goes out after a while.
  const fourth = world({ a: 3, b: 2, c: 1 }, third);
  session.subscribe(secrets, "credential:c", false);
  session.update(fourth, changesBetween(third, fourth), "1");
  assert.equal(sent(), undefined);
  clock.move(LIMIT_MS);
  assert.deepEqual([sent(), sent()], [["cluster-c"], undefined]);
  session.acknowledge(clusters);
  clock.move(60_000);
  assert.equal(sent(), undefined);
  session.acknowledge(secrets);
  assert.deepEqual([sent(), sent()], [["credential:c", "credential:a"], ["cluster-a"]]);
});

test("a client that comes back gets no cluster before its secret, which it has not spoken of yet", () => {
  for (const speaks of [true, false]) {
    const clock = handClock(0);
    const before = world({ a: 1, b: 1 });
    const now = world({ a: 2, b: 1 }, before);
    const session = sessionOf(now, clock);
    const sent = sentBy(session);
    const open = (kind: "cluster" | "secret") => {
      const subscription = session.open(TYPE_URLS[kind])?.subscription ?? assert.fail();
      for (const [name, { version }] of before[kind]) subscription.held.set(name, { version });
      return subscription;
    };
    session.subscribeAll(open("cluster"));
    assert.equal(sent(), undefined, "it has said nothing of its secrets");
    if (speaks) {
      const secrets = open("secret");
      for (const name of before.secret.keys()) session.subscribe(secrets, name, true);
      assert.deepEqual([sent(), sent()], [["credential:a"], ["cluster-a"]]);
    } else {
      clock.move(2000);
      assert.deepEqual(sent(), ["cluster-a"], "it has none, and does not wait for ever");
    }
  }
});

test("a revision is named at once to a client that knows of none, afterwards once all of it is there", () => {
  const clock = handClock(0);
  const numbered = (number: number, previous?: Snapshot): Snapshot =>
    snapshotOf([...resourcesOf({ a: number }), revisionSecret(number)], previous);
  const first = numbered(1);
  const session = sessionOf(first, clock);
  const { secrets, clusters, sent } = subscribed(session, ["credential:a", REVISION]);
  assert.deepEqual([sent(), sent()], [["credential:a", REVISION], ["cluster-a"]]);
  session.acknowledge(secrets);
  session.acknowledge(clusters);

  const second = numbered(2, first);
  session.update(second, changesBetween(first, second), "2");
  assert.deepEqual([sent(), sent()], [["credential:a"], ["cluster-a"]]);
  session.acknowledge(secrets);
  clock.move(500);
  assert.equal(sent(), undefined, "the client has not answered to the cluster");
  session.acknowledge(clusters);
  assert.equal(session.isSettled, true, "nobody waits for the name");
  clock.move(1000);
  assert.deepEqual(sent(), [REVISION]);
  session.acknowledge(secrets);
  assert.equal(session.isSettled, true);
});

function sessionOf(snapshot: Snapshot, clock: ReturnType<typeof handClock>): Session {
  return new Session(
    { clock, orderLimitMs: LIMIT_MS, onReady: () => {}, turns: new Turns(clock) },
    snapshot,
    "1",
  );
}

/** A client that wants all clusters, and these secrets. */
function subscribed(session: Session, names: readonly string[]) {
  const secrets = session.open(TYPE_URLS.secret)?.subscription ?? assert.fail();
  const clusters = session.open(TYPE_URLS.cluster)?.subscription ?? assert.fail();
  session.subscribeAll(clusters);
  for (const name of names) session.subscribe(secrets, name, false);
  return { secrets, clusters, sent: sentBy(session) };
}

function sentBy(session: Session): () => string[] | undefined {
  return () => session.next()?.batch.resources.map(({ name }) => name);
}

/** A secret and a cluster that names it, each in a generation. */
function world(generations: Readonly<Record<string, number>>, previous?: Snapshot): Snapshot {
  return snapshotOf(resourcesOf(generations), previous);
}

function resourcesOf(generations: Readonly<Record<string, number>>): XdsResource[] {
  return Object.entries(generations).flatMap(([name, generation]) => {
    const credential = `credential:${name}`;
    const secret = create(SecretSchema, {
      name: credential,
      type: {
        case: "genericSecret",
        value: { secret: { specifier: { case: "inlineString", value: String(generation) } } },
      },
    });
    const cluster = create(ClusterSchema, {
      name: `cluster-${name}`,
      altStatName: `${credential} ${generation}`,
    });
    return [resource("secret", credential, secret, []), resource("cluster", cluster.name, cluster, [])];
  });
}
