// Runs the test suite on node:test. `npm test -- unit fuzz` runs only those folders of test/.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const only = process.argv.slice(2);
const patterns = only.length === 0 ? ["test/**/*.test.ts"] : only.map((part) => `test/${part}/**/*.test.ts`);
const files = patterns.flatMap((pattern) => globSync(pattern)).sort();
if (files.length === 0) {
  console.error(`no test files match ${patterns.join(" ")}`);
  process.exit(1);
}
const { status } = spawnSync(process.execPath, ["--test", "--test-concurrency=2", ...files], {
  stdio: "inherit",
});
process.exit(status ?? 1);
