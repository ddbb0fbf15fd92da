// Writes docs/reference/ and deploy/crds/ from the schemas in src/resources. `--check` writes nothing and exits 1 where a
// file on disk is another one.
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { referenceFiles } from "./reference/files.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const files = referenceFiles();
const stale = [
  ...globSync("docs/reference/*.md", { cwd: ROOT }),
  ...globSync("deploy/crds/*.yaml", { cwd: ROOT }),
].filter((path) => !files.has(path));
const changed = [...files].filter(([path, text]) => {
  const file = join(ROOT, path);
  return !existsSync(file) || readFileSync(file, "utf8") !== text;
});
if (process.argv.includes("--check")) {
  for (const path of [...stale, ...changed.map(([each]) => each)]) console.error(`not current: ${path}`);
  process.exitCode = stale.length + changed.length === 0 ? 0 : 1;
} else {
  for (const path of stale) rmSync(join(ROOT, path));
  for (const [path, text] of changed) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
  }
  console.log(`${files.size} files, ${changed.length} written, ${stale.length} removed`);
}
