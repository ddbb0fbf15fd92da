// `npm run golden:update` writes what the compiler says now. The diff is to be read, not just committed.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeEnvoyFiles } from "./envoy.ts";
import { asText, goldenCases, runCase } from "./case.ts";

const cases = goldenCases();
for (const golden of cases) {
  const { model, diagnostics } = runCase(golden);
  writeFileSync(join(golden.folder, "model.json"), asText(model));
  writeFileSync(join(golden.folder, "diagnostics.json"), asText(diagnostics));
}
writeEnvoyFiles(cases);
spawnSync("npx", ["biome", "format", "--write", "test/golden"], { stdio: "ignore" });
console.log(`${cases.length} cases written; read the diff`);
