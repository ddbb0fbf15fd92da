import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { encode, sealed } from "../../../../../src/engines/envoy/ads/encoded.ts";
import { resource, TYPE_URLS } from "../../../../../src/engines/envoy/resources.ts";
import { ClusterSchema } from "../../../../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from "../../../../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";

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
