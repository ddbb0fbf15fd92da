import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readEnvoyFiles, tellOfEnvoy } from "./envoy.ts";
import { asText, goldenCases, runCase } from "./case.ts";

for (const golden of goldenCases()) {
  test(golden.name, () => {
    const result = runCase(golden);
    const expected = (file: string): unknown => JSON.parse(readFileSync(join(golden.folder, file), "utf8"));
    // Through JSON: what is undefined does not count, what is written down does.
    assert.deepEqual(JSON.parse(asText(result.model)), expected("model.json"));
    assert.deepEqual(JSON.parse(asText(result.diagnostics)), expected("diagnostics.json"));
  });

  test(`${golden.name}: on Envoy`, () => {
    assert.deepEqual(JSON.parse(asText(tellOfEnvoy(golden))), readEnvoyFiles(golden));
  });

  test(`${golden.name}: the order of its documents decides nothing`, () => {
    const [forth, back] = [runCase(golden), runCase(golden, "reversed")];
    assert.equal(asText(back.model), asText(forth.model));
    assert.equal(asText(back.diagnostics), asText(forth.diagnostics));
  });
}
