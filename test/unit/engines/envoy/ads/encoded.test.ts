import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DeltaExchange } from "../../../../../src/engines/envoy/ads/delta-exchange.ts";
import { encode, sealed } from "../../../../../src/engines/envoy/ads/encoded.ts";
import { Session } from "../../../../../src/engines/envoy/ads/session.ts";
import { Turns } from "../../../../../src/engines/envoy/ads/turns.ts";
import { WorldExchange } from "../../../../../src/engines/envoy/ads/world-exchange.ts";
import { resource, TYPE_URLS } from "../../../../../src/engines/envoy/resources.ts";
import { ClusterSchema } from "../../../../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../../../../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import { handClock } from "../../../../support/clock.ts";
import { worldOf } from "../../../../support/xds-world.ts";

for (const [what, message] of [
  ["a message", create(ClusterSchema, { name: "täglich", altStatName: "x".repeat(20_000) })],
  ["a message without content", create(ClusterSchema)],
] as const) {
  test(`${what} is read from the responses of both protocols as it was`, () => {
    const encoded = encode(resource("cluster", "täglich", message, ["mapping/a"]));
    const bytes = Buffer.from(toBinary(ClusterSchema, message));
    const [delta, ...more] = fromBinary(DeltaDiscoveryResponseSchema, encoded.inDelta).resources;
    const [world, ...others] = fromBinary(DiscoveryResponseSchema, encoded.inWorld).resources;
    assert.deepEqual([more, others], [[], []]);
    assert.deepEqual([delta?.name, delta?.version], ["täglich", encoded.version]);
    for (const any of [delta?.resource, world]) {
      assert.equal(any?.typeUrl, TYPE_URLS.cluster);
      assert.ok(bytes.equals(any.value));
    }
    assert.ok(bytes.equals(encoded.bytes));
    assert.equal(encoded.byteLength, bytes.length);
  });
}

test("a sealed resource is the same to clients, and reads as it was", () => {
  const message = create(ClusterSchema, { name: "a" });
  const open = resource("cluster", "a", message, []);
  const seal = sealed(open);
  assert.equal(encode(seal), encode(open));
  assert.deepEqual(seal.message, message);
});

test("clients of either protocol are sent the same memory, however many they are", () => {
  const clock = handClock(0);
  const snapshot = worldOf({ clusters: { a: 1024, b: 1025 } });
  const turns = new Turns(clock);
  const session = () =>
    new Session({ clock, orderLimitMs: 5000, onReady: () => undefined, turns }, snapshot, "1");
  const [first, second, world] = [
    new DeltaExchange(session()),
    new DeltaExchange(session()),
    new WorldExchange(session()),
  ];
  const request = { typeUrl: TYPE_URLS.cluster };
  for (const delta of [first, second]) delta.take(create(DeltaDiscoveryRequestSchema, request));
  world.take(create(DiscoveryRequestSchema, request));
  const [sent, ...others] = [first, second, world].map((exchange) =>
    exchange
      .next()
      ?.slice(1)
      .map(({ buffer }) => buffer),
  );
  assert.equal(sent?.length, 2);
  for (const other of others) assert.ok(sent.every((buffer, index) => buffer === other?.[index]));
});
