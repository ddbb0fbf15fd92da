import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "../support/fast-check.ts";
import { comparable, refusesForAnotherReason } from "./engine-differences.ts";
import { type EnginePair, startEnginePair } from "./engine-pair.ts";
import { probes } from "./engine-probes.ts";
import { worlds, worldYaml } from "./engine-worlds.ts";

/** `npm run differential` runs many more; so does any number of them that is set. */
const RUNS = Number(process.env.CREDENCE_DIFFERENTIAL_RUNS ?? 25);
/** One that is always the same, and one that is new each time; fast-check says which, where it finds something. */
const SEEDS = [1, Number(process.env.CREDENCE_DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31)];

let pair: EnginePair;

before(async () => {
  pair = await startEnginePair();
});
after(() => pair?.stop());

for (const [index, seed] of SEEDS.entries())
  test(`both engines give the same answer, from the same upstream, shown the same: seed ${index === 0 ? seed : "of its own"}`, async (context) => {
    context.diagnostic(`seed ${seed}`);
    let served = 0;
    await fc.assert(
      fc.asyncProperty(
        worlds,
        fc.array(probes, { minLength: 10, maxLength: 20, size: "max" }),
        async (world, asked) => {
          const yaml = worldYaml(world, pair.peers);
          await pair.apply(yaml);
          const { node, envoy } = await pair.ask(asked);
          for (const [index, probe] of asked.entries()) {
            const [ours, theirs] = [node[index], envoy[index]];
            assert.ok(ours !== undefined && theirs !== undefined);
            served += ours.seen.length;
            if (refusesForAnotherReason(ours, theirs, probe)) continue;
            assert.deepEqual(
              comparable(theirs, probe),
              comparable(ours, probe),
              `${JSON.stringify(probe)}\n${yaml}`,
            );
          }
        },
      ),
      { numRuns: RUNS, seed },
    );
    // Worlds drawn anew each time may be closed for the most part.
    assert.ok(served > (index === 0 ? RUNS : 0), "too few requests came through for this to say much");
  });
