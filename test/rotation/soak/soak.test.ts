import assert from "node:assert/strict";
import { it } from "../../behaviour/engines.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../../support/gateway.ts";
import { sumOf } from "../../support/latency.ts";
import { startHandshakes, Tally } from "./handshakes.ts";
import { MemoryWatch } from "./memory.ts";
import { Progress } from "./progress.ts";
import { CLEARTEXT_HOST, Site } from "./site.ts";
import { LONG, ONLY, ROTATIONS, SEED } from "./amount.ts";
import { SOURCES } from "./sources.ts";
import { Starvation } from "./starvation.ts";
import { assertGone, assertNoStall, describeLatency } from "./stalls.ts";
import { peerHost } from "./world.ts";

// Credentials of several identities rotate side by side, in every way and in a random order, while requests of all of them
// are under way. Few turns here; `npm run soak` has thousands.

const SITES = ROTATIONS < LONG ? 4 : 12;
/** Of each site. The pauses leave the machine to rotations: what counts is that there always is a request under way. */
const WORKERS = ROTATIONS < LONG ? 2 : 1;
const PAUSE_MS = ROTATIONS < LONG ? 50 : 300;
const HANDSHAKE_PAUSE_MS = ROTATIONS < LONG ? 25 : 300;
/** A filter chain of Envoy's is replaced where a root goes or somebody is revoked, and stays for so long. */
const DRAIN_S = 5;

for (const [name, startSource] of Object.entries(SOURCES)) {
  if (ONLY?.includes(name) === false) continue;
  it(`${ROTATIONS} rotations of leaf, key, root and revocation list by ${name} under load (seed ${SEED})`, async () => {
    const names = Array.from({ length: SITES }, (_, index) => `site-${index}`);
    const hosts = Object.fromEntries(names.map((site) => [peerHost(site), ["127.0.0.1"]]));
    const limits = engineUnderTest() === "envoy" ? { retireMs: DRAIN_S * 1000 } : {};
    const gateway = await startGateway({}, { watch: true, hosts, limits });
    const tally = new Tally(starvation.now);
    const sites = await Promise.all(
      names.map((site, index) =>
        Site.start(site, startSource, gateway.directory, randomFrom(SEED + index), tally),
      ),
    );
    await gateway.replace("routes.yaml", PLAIN_HOST + sites.map(({ yaml }) => yaml).join(""));
    await gateway.gateway.control.reload();
    await gateway.gateway.serving();
    // Issuers are asked once their names are known: the load begins when all have answered.
    for (const [index, site] of sites.entries())
      await site.untilServed(gateway.httpPort, () => thoughts(gateway, names[index]));
    const loads = sites.map((site) => site.startLoad(gateway.httpPort, WORKERS, PAUSE_MS, starvation.now));
    let next = 0;
    const handshakes = startHandshakes(
      gateway.httpsPort,
      () => (sites[next++ % SITES] as Site).client,
      HANDSHAKE_PAUSE_MS,
      tally,
    );
    let left = ROTATIONS;
    let running: Promise<void>[] = [];
    try {
      const memory = new MemoryWatch();
      const progress = new Progress(`${engineUnderTest()}, ${name}`, ROTATIONS, LONG, memory);
      const ports = { http: gateway.httpPort, https: gateway.httpsPort };
      running = sites.map(async (site, index) => {
        const explain = (): Promise<string> => thoughts(gateway, names[index]);
        while (left-- > 0) progress.rotated(await site.rotate(ports, explain));
      });
      await Promise.all(running);
      const results = await Promise.all(loads.map((load) => load.stop()));
      const failed = results.flatMap(({ failures }, index) =>
        failures.map((failure) => `${names[index]}: ${failure}`),
      );
      const { made, failures } = await handshakes.stop();
      const requests = results.reduce((sum, result) => sum + result.requests, 0);
      const latency = sumOf(results.map((result) => result.latency));
      const most = Math.max(...sites.map(({ peer }) => peer.mostOpen));
      const stay = Math.max(...sites.map(({ peer }) => peer.longestStay));
      progress.say(
        `${failed.length} of ${requests} requests failed: ${describeLatency(latency)}; ` +
          `handshakes of clients: ${tally.describe()}: ${describeLatency(tally.latency)}; ` +
          `at most ${most} connections to a peer at a time, retired ones gone within ${stay} ms; ` +
          `kept from running for ${starvation.total} ms, ${starvation.longest} ms at a time, which requests and handshakes are not charged with`,
      );
      assert.ok(
        failed.length === 0,
        `${failed.slice(0, 20).join(", ")}; ${failed.length > 0 ? await thoughts(gateway) : ""}`,
      );
      for (const each of results)
        assert.ok(each.requests > ROTATIONS / SITES, `only ${each.requests} requests`);
      assert.deepEqual(failures, []);
      assert.ok(made >= SITES, `only ${made} handshakes`);
      assert.deepEqual(
        sites.flatMap(({ peer }) => peer.violations),
        [],
      );
      assertNoStall("the requests", latency);
      assertNoStall("the handshakes", tally.latency);
      assertGone(stay);
      progress.assertFlat();
    } finally {
      // Where one has failed the others are still under way.
      left = 0;
      await Promise.allSettled(running);
      await Promise.all([...loads.map((load) => load.stop()), handshakes.stop()]);
      await gateway.stop();
      await Promise.all(sites.map((site) => site.stop()));
    }
  });
}

const starvation = new Starvation();

const PLAIN_HOST = `---\n${JSON.stringify({
  apiVersion: "getambassador.io/v2",
  kind: "Host",
  metadata: { name: "plain" },
  spec: { hostname: CLEARTEXT_HOST, requestPolicy: { insecure: { action: "Route" } } },
})}\n`;

/** What the gateway has against anything, and of the site, for the message of a test that fails. */
async function thoughts(gateway: RunningGateway, site?: string): Promise<string> {
  const { diagnostics, failures, certificates } = (await gateway.diag()) as Known;
  return JSON.stringify({
    ...{ failures: failures.slice(0, 5), diagnostics: diagnostics.slice(0, 5) },
    fault: gateway.gateway.control.state.fault,
    held: certificates
      .filter(
        ({ name }) => site !== undefined && name.split(/[^a-z0-9-]/).some((part) => part.startsWith(site)),
      )
      .map(({ name, kind, generation, lists }) => [
        ...[name, kind, generation],
        ...(lists ?? []).map(({ thisUpdate }) => thisUpdate),
      ]),
    ...{ now: new Date().toISOString(), starvedMs: starvation.longest },
  });
}

interface Known extends Awaited<ReturnType<RunningGateway["diag"]>> {
  readonly certificates: readonly {
    readonly name: string;
    readonly kind: string;
    readonly generation: number;
    readonly lists?: readonly { readonly thisUpdate: string }[];
  }[];
}

/** Mulberry32: the same order for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
