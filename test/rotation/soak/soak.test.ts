import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { it } from "../../behaviour/engines.ts";
import { mappingYaml, tlsContextYaml } from "../../support/certificates.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { startGateway } from "../../support/gateway.ts";
import { startLoad } from "../../support/load.ts";
import { startHandshakes } from "./handshakes.ts";
import { Peer, serialOf } from "./peer.ts";
import { SOURCES } from "./sources.ts";
import { STEPS, type Step, World } from "./world.ts";
import { until } from "../../support/until.ts";

// Credentials rotate in every way and in a random order while requests are under way. Few turns here; `npm run soak` has
// thousands. A seed that failed is run again with CREDENCE_SOAK_SEED.

const ROTATIONS = Number(process.env.CREDENCE_SOAK_ROTATIONS ?? 10);
const SEED = Number(process.env.CREDENCE_SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** From the writing of a new credential until nothing speaks under the old one: noticing, publishing, retiring. */
const RETIRED_WITHIN_MS = 5_000;

for (const [name, startSource] of Object.entries(SOURCES)) {
  it(`${ROTATIONS} rotations of leaf, key, root and revocation list by ${name} under load (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    const world = await World.create();
    const peer = await Peer.start(world.server, world.anchors);
    const gateway = await startGateway({}, { watch: true });
    const source = await startSource(gateway.directory);
    await source.offer(world.offer);
    await gateway.replace("routes.yaml", routes(peer.port, source.context));
    await gateway.gateway.control.reload();
    await gateway.gateway.serving();
    const load = startLoad(`http://127.0.0.1:${gateway.httpPort}/`, 4, CLEARTEXT_HOST);
    const handshakes = startHandshakes(gateway.httpsPort, TLS_HOST, world);
    await until(
      () => peer.isSpokenToOnlyBy(serialOf(world.offer.identity), 0),
      RETIRED_WITHIN_MS,
      async () => `the first requests: ${JSON.stringify((await gateway.diag()).failures[0])}`,
    );
    const memory = new MemoryWatch(ROTATIONS);
    try {
      for (let turn = 1; turn <= ROTATIONS; turn++) {
        const drawn = STEPS[Math.floor(random() * STEPS.length)] as Step;
        const step = drawn === "crl" && source.withoutLists === true ? "leaf" : drawn;
        await world.step(step, peer);
        const offered = performance.now();
        await source.offer(world.offer);
        const serial = serialOf(world.offer.identity);
        await until(
          () => peer.isSpokenToOnlyBy(serial, offered),
          RETIRED_WITHIN_MS,
          async () =>
            `turn ${turn} (${step}): ${serial.slice(0, 8)} is to be alone, there are ${peer.describe()} ${JSON.stringify((await gateway.diag()).failures[0])}`,
        );
        memory.sample(turn);
      }
      const { requests, failures } = await load.stop();
      assert.deepEqual(failures, []);
      assert.ok(requests > ROTATIONS, `only ${requests} requests`);
      const { made, failures: refused } = await handshakes.stop();
      assert.deepEqual(refused, []);
      assert.ok(made > ROTATIONS, `only ${made} handshakes`);
      memory.assertFlat();
    } finally {
      await Promise.all([load.stop(), handshakes.stop()]);
      await gateway.stop();
      await source.stop();
      peer.close();
    }
  });
}

const CLEARTEXT_HOST = "plain.example";
const TLS_HOST = "gateway.example";

/**
 * One context both ways: its credential is shown to the peer, and to clients, who must show one themselves. Two contexts
 * might notice a change of their files a quarter of a second apart.
 */
function routes(port: number, credential: Record<string, unknown>): string {
  return (
    mappingYaml("m", { prefix: "/", service: `localhost:${port}`, tls: "ctx" }) +
    tlsContextYaml("ctx", { hosts: [TLS_HOST], cert_required: true, ...credential }) +
    `---\n${JSON.stringify({
      apiVersion: "getambassador.io/v2",
      kind: "Host",
      metadata: { name: "plain" },
      spec: { hostname: CLEARTEXT_HOST, requestPolicy: { insecure: { action: "Route" } } },
    })}\n`
  );
}

/** Heap of this process, gateway and test, after garbage is collected: in the first fifth of the turns and in the last. */
class MemoryWatch {
  readonly #turns: number;
  readonly #samples: number[] = [];

  constructor(turns: number) {
    this.#turns = turns;
  }

  sample(turn: number): void {
    // A hundred samples: collecting takes its time.
    if (this.#turns < LONG || turn % Math.ceil(this.#turns / 100) !== 0) return;
    collectGarbage();
    this.#samples.push(process.memoryUsage().heapUsed);
  }

  /** In a long run only: a short one is all warming up. */
  assertFlat(): void {
    if (this.#turns < LONG) return;
    const fifth = Math.floor(this.#samples.length / 5);
    const early = median(this.#samples.slice(fifth, 2 * fifth));
    const late = median(this.#samples.slice(-fifth));
    console.log(`${engineUnderTest()}: heap ${mib(early)} MiB early, ${mib(late)} MiB late`);
    assert.ok(late < early * 1.2 + 4 * 2 ** 20, `the heap grew from ${mib(early)} to ${mib(late)} MiB`);
  }
}

const LONG = 500;

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
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
