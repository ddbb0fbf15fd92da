import assert from "node:assert/strict";
import { test } from "node:test";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { validateBootstrap } from "../../src/engines/envoy/process/validate.ts";
import { staticBootstrap } from "../../src/engines/envoy/static-bootstrap.ts";
import { goldenCases } from "./case.ts";
import { runOnEnvoy } from "./envoy.ts";

/** Envoys at once: each takes a tenth of a second, most of it its own start. */
const AT_ONCE = 2;

test("Envoy accepts what every case comes to", async () => {
  const envoy = await findEnvoy({ flag: undefined, environment: process.env });
  const waiting = goldenCases();
  const refused: string[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const verdict = await validateBootstrap(envoy.path, await staticBootstrap(runOnEnvoy(next).resources));
      if (!verdict.ok) refused.push(`${next.name}: ${verdict.reason}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  assert.deepEqual(refused.sort(), []);
});
