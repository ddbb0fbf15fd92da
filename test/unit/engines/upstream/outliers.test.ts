import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { NOTHING_DISCOVERED } from "../../../../src/endpoints/discovered.ts";
import type { UpstreamHost } from "../../../../src/engines/node/upstream/host.ts";
import { ANY_HOST, Hosts } from "../../../../src/engines/node/upstream/hosts.ts";
import type { Outliers } from "../../../../src/engines/node/upstream/outliers.ts";
import type { OutlierDetection } from "../../../../src/model/cluster.ts";
import { handClock } from "../../../support/clock.ts";

describe("outlier detection", () => {
  let clock: ReturnType<typeof handClock>;
  let hosts: Hosts;
  let outliers: Outliers;
  let endpoints: { address: string; port: number }[];

  function setUp(count: number, changes: Partial<OutlierDetection> = {}): void {
    clock = handClock();
    endpoints = Array.from({ length: count }, (_, index) => ({ address: `10.0.0.${index + 1}`, port: 80 }));
    hosts = new Hosts(
      {
        name: "cluster",
        service: { host: "svc.test", port: 80 },
        connectTimeoutMs: 3000,
        tls: { mode: "cleartext" },
        outliers: {
          consecutive5xx: 3,
          consecutiveGatewayFailures: 2,
          intervalMs: 1000,
          baseEjectionMs: 5000,
          maxEjectionPercent: 50,
          ...changes,
        },
      },
      { resolve: () => endpoints },
      NOTHING_DISCOVERED,
      clock,
      () => {},
    );
    hosts.update();
    outliers = hosts.outliers as Outliers;
  }

  const chosen = (): Set<string> =>
    new Set(Array.from({ length: 20 }, () => hosts.choose(ANY_HOST)?.address ?? ""));
  const at = (index: number): UpstreamHost => hosts.hosts[index] as UpstreamHost;
  /** A second at a time, as sweeps go. */
  const advance = (milliseconds: number): void => {
    for (let left = milliseconds; left > 0; left -= 1000) clock.move(1000);
  };
  const fail = (index: number): void => {
    outliers.onFailure(at(index));
    outliers.onFailure(at(index));
  };

  beforeEach(() => setUp(4));

  it("leaves out a host after so many 5xx in a row, and takes it back", () => {
    for (const status of [500, 500, 200, 500, 500]) outliers.onStatus(at(0), status);
    assert.equal(chosen().size, 4, "a success in between");
    outliers.onStatus(at(0), 500);
    assert.ok(!chosen().has("10.0.0.1:80"));
    advance(4000);
    assert.equal(chosen().size, 3);
    advance(2000);
    assert.equal(chosen().size, 4);
  });

  it("counts 502 to 504, and what never answered, as gateway failures", () => {
    outliers.onStatus(at(0), 503);
    outliers.onStatus(at(0), 500);
    outliers.onStatus(at(1), 504);
    outliers.onFailure(at(1));
    assert.deepEqual(chosen(), new Set(["10.0.0.1:80", "10.0.0.3:80", "10.0.0.4:80"]));
  });

  it("leaves out for longer each time, and forgets that in quiet times", () => {
    fail(0);
    advance(5000);
    assert.equal(chosen().size, 4);
    fail(0);
    advance(9000);
    assert.equal(chosen().size, 3, "twice as long");
    advance(1000);
    assert.equal(chosen().size, 4);
    advance(10_000);
    fail(0);
    advance(5000);
    assert.equal(chosen().size, 4, "as the first time");
  });

  it("leaves out no more than the percentage, but one at least, and never the last", () => {
    for (let index = 0; index < 4; index++) fail(index);
    assert.equal(chosen().size, 2);
    setUp(4, { maxEjectionPercent: 10 });
    for (let index = 0; index < 4; index++) fail(index);
    assert.equal(chosen().size, 3);
    setUp(3, { maxEjectionPercent: 100 });
    for (let index = 0; index < 3; index++) fail(index);
    assert.equal(chosen().size, 1);
    setUp(1, { maxEjectionPercent: 100 });
    fail(0);
    assert.equal(chosen().size, 1);
  });

  it("has somewhere to go when only hosts that were left out remain", async () => {
    setUp(2);
    fail(0);
    endpoints = endpoints.slice(0, 1);
    // One turn's requests share what the first of them found.
    await new Promise((resolve) => setImmediate(resolve));
    hosts.update();
    assert.deepEqual(chosen(), new Set(["10.0.0.1:80"]));
  });
});
