import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sourceFiles } from "./source-files.ts";

test("docs/metrics.md lists every metric, and nothing else", () => {
  const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  const listed = [...page.matchAll(/^\| `(credence_\w+)`/gm)].map(([, name]) => name as string);
  const registered = sourceFiles().flatMap(({ text }) =>
    [...text.matchAll(/\.(?:gauge|counter|histogram)\(\s*"(\w+)"/g)].map(([, name]) => name as string),
  );
  assert.deepEqual(listed.sort(), registered.sort());
});
