import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "../../../support/fast-check.ts";
import { type Balancer, createBalancer } from "../../../../src/engines/node/upstream/balancer/balancer.ts";
import { murmur3 } from "../../../../src/engines/node/upstream/balancer/murmur3.ts";
import { UpstreamHost } from "../../../../src/engines/node/upstream/host.ts";

const hostsOf = (count: number): UpstreamHost[] =>
  Array.from({ length: count }, (_, index) => new UpstreamHost({ address: `10.0.0.${index + 1}`, port: 80 }));

const KEYS = Array.from({ length: 20_000 }, (_, index) => murmur3(`user ${index}`));

function placement(balancer: Balancer, hosts: readonly UpstreamHost[]): UpstreamHost[] {
  balancer.update(hosts);
  return KEYS.map((key) => balancer.pick(key));
}

describe("murmur3", () => {
  it("is the published function", () => {
    assert.deepEqual(
      [murmur3(""), murmur3("", 1), murmur3("test"), murmur3("Hello, world!", 1234), murmur3("abcde")],
      [0, 0x514e28b7, 0xba6bd213, 0xfaf6cdb3, 0xe89b9af6],
    );
  });
});

for (const [kind, spread, surplus] of [
  ["ring-hash", 0.35, 0],
  ["maglev", 0.12, 0.06],
] as const) {
  describe(kind, () => {
    it("gives every host about its share", () => {
      const hosts = hostsOf(7);
      const counts = new Map<UpstreamHost, number>();
      for (const host of placement(createBalancer(kind), hosts))
        counts.set(host, (counts.get(host) ?? 0) + 1);
      for (const host of hosts) {
        const share = ((counts.get(host) ?? 0) * hosts.length) / KEYS.length;
        assert.ok(Math.abs(share - 1) < spread, `${host.address}: ${share}`);
      }
    });

    it("gives one key the same host whatever the instance and the order in time", () => {
      const hosts = hostsOf(5);
      const other = createBalancer(kind);
      placement(other, hosts.slice(2));
      assert.deepEqual(placement(other, hosts), placement(createBalancer(kind), hosts));
    });

    it("moves hardly anybody but those whose host left", () => {
      fc.assert(
        fc.property(fc.integer({ min: 2, max: 24 }), fc.nat(), (count, which) => {
          const hosts = hostsOf(count);
          const left = hosts[which % count];
          const before = placement(createBalancer(kind), hosts);
          const after = placement(
            createBalancer(kind),
            hosts.filter((host) => host !== left),
          );
          const moved = before.filter((host, index) => host !== left && host !== after[index]).length;
          assert.ok(moved <= surplus * KEYS.length, `${moved} of ${KEYS.length} moved without need`);
          assert.ok(!after.includes(left as UpstreamHost));
        }),
        { numRuns: 15 },
      );
    });

    it("goes anywhere without a key", () => {
      const hosts = hostsOf(3);
      const balancer = createBalancer(kind);
      balancer.update(hosts);
      const seen = new Set(Array.from({ length: 200 }, () => balancer.pick(null)));
      assert.equal(seen.size, 3);
    });
  });
}

describe("round robin", () => {
  it("takes each in turn, newcomers too", () => {
    const hosts = hostsOf(3);
    const balancer = createBalancer(undefined);
    balancer.update(hosts);
    const picked = Array.from({ length: 6 }, () => balancer.pick(null));
    assert.deepEqual(picked.slice(0, 3), picked.slice(3));
    assert.equal(new Set(picked).size, 3);
    balancer.update(hosts.slice(0, 1));
    assert.equal(balancer.pick(null), hosts[0]);
  });
});

describe("least request", () => {
  it("never takes the busiest of three", () => {
    const hosts = hostsOf(3);
    const balancer = createBalancer("least-request");
    balancer.update(hosts);
    (hosts[1] as UpstreamHost).requests = 5;
    const picked = Array.from({ length: 300 }, () => balancer.pick(null));
    assert.ok(!picked.includes(hosts[1] as UpstreamHost));
    assert.equal(new Set(picked).size, 2);
  });

  it("evens out requests that never end", () => {
    const hosts = hostsOf(10);
    const balancer = createBalancer("least-request");
    balancer.update(hosts);
    for (let turn = 0; turn < 10_000; turn++) balancer.pick(null).requests++;
    const counts = hosts.map(({ requests }) => requests);
    assert.ok(Math.max(...counts) - Math.min(...counts) < 20, counts.join());
  });
});

describe("weights", () => {
  for (const kind of [undefined, "least-request", "ring-hash", "maglev"] as const)
    it(`give each host its share (${kind ?? "round-robin"}), with a key and without, until they are equal again`, () => {
      const weights = [1, 3, 6, 10];
      const hosts = hostsOf(4);
      const balancer = createBalancer(kind);
      const shares = (key: (turn: number) => number | null): number[] => {
        const counts = hosts.map(() => 0);
        for (let turn = 0; turn < KEYS.length; turn++) {
          const at = hosts.indexOf(balancer.pick(key(turn)));
          counts[at] = (counts[at] ?? 0) + 1;
        }
        return counts.map((count) => count / KEYS.length);
      };
      const near = (found: number[], wanted: number[]): void =>
        found.forEach((share, at) => {
          const expected = wanted[at] as number;
          assert.ok(
            Math.abs(share - expected) < 0.02 + 0.2 * expected,
            `${found.join()} for ${wanted.join()}`,
          );
        });
      hosts.forEach((host, at) => {
        host.endpoint = { ...host.endpoint, weight: weights[at] as number };
      });
      balancer.update(hosts);
      const wanted = weights.map((weight) => weight / 20);
      near(
        shares(() => null),
        wanted,
      );
      near(
        shares((turn) => KEYS[turn] as number),
        wanted,
      );
      for (const host of hosts) host.endpoint = { address: host.endpoint.address, port: 80 };
      balancer.update(hosts);
      near(
        shares(() => null),
        [0.25, 0.25, 0.25, 0.25],
      );
    });

  it("spread a heavy host's turns among the others'", () => {
    const hosts = hostsOf(2);
    (hosts[0] as UpstreamHost).endpoint = { address: "10.0.0.1", port: 80, weight: 2 };
    const balancer = createBalancer(undefined);
    balancer.update(hosts);
    const picked = Array.from({ length: 300 }, () => hosts.indexOf(balancer.pick(null))).join("");
    assert.ok(!picked.includes("11") && !picked.includes("00000"), picked);
  });

  it("count beside the requests in flight", () => {
    const hosts = hostsOf(3);
    (hosts[2] as UpstreamHost).endpoint = { address: "10.0.0.3", port: 80, weight: 8 };
    const balancer = createBalancer("least-request");
    balancer.update(hosts);
    for (let turn = 0; turn < 10_000; turn++) balancer.pick(null).requests++;
    const [light = 0, other = 0, heavy = 0] = hosts.map(({ requests }) => requests);
    assert.ok(Math.abs(heavy - 8000) < 300 && Math.abs(light - other) < 100, `${light} ${other} ${heavy}`);
  });
});
