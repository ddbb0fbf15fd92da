import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { test } from "node:test";
import { GENERATED, sourceFiles } from "./source-files.ts";

/** Which part may import which, besides itself (ARCHITECTURE.md). A part is a folder of src, or an engine of its own. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  diagnostics: [],
  x509: [],
  telemetry: [],
  protobuf: [],
  resources: ["diagnostics"],
  credentials: ["model", "x509", "diagnostics", "telemetry"],
  endpoints: ["model", "diagnostics", "telemetry"],
  "engines/engine.ts": ["model", "diagnostics"],
  compile: ["resources", "model", "diagnostics", "x509"],
  sources: ["resources", "credentials", "endpoints", "diagnostics", "telemetry"],
  // Each folder of it by itself.
  mesh: ["credentials", "endpoints", "x509", "diagnostics", "telemetry", "protobuf"],
  probe: ["model", "credentials", "endpoints", "x509", "diagnostics", "telemetry"],
  "engines/node": [
    "engines/engine.ts",
    "model",
    "credentials",
    "endpoints",
    "x509",
    "diagnostics",
    "telemetry",
  ],
  "engines/envoy": [
    "engines/engine.ts",
    "model",
    "credentials",
    "endpoints",
    "x509",
    "diagnostics",
    "telemetry",
    "protobuf",
  ],
  control: [
    "compile",
    "resources",
    "model",
    "credentials",
    "endpoints",
    "diagnostics",
    "telemetry",
    "engines/engine.ts",
  ],
  migrate: ["compile", "resources", "model", "diagnostics"],
  admin: ["control", "model", "credentials", "x509", "diagnostics", "telemetry"],
};

const FILES = sourceFiles();
const PATHS = new Set(FILES.map(({ path }) => path));

function partOf(path: string): string {
  const [folder, next] = path.split("/") as [string, string];
  return folder === "engines" || folder === "mesh" ? `${folder}/${next}` : folder;
}

/** Relative imports, as paths from src: static, type-only, re-exported, for effect and dynamic ones. */
function importsOf({ path, text }: { path: string; text: string }): string[] {
  const specifiers = [
    ...text.matchAll(/\b(?:from|import)\s+["'](\.[^"']+)["']/g),
    ...text.matchAll(/\bimport\s*\(\s*["'](\.[^"']+)["']/g),
  ].map(([, specifier]) => specifier as string);
  return specifiers.map((specifier) => posix.join(posix.dirname(path), specifier));
}

test("every import is allowed by the table of ranks", () => {
  const wrong: string[] = [];
  for (const file of FILES) {
    const from = partOf(file.path);
    if (from === "cli") continue;
    const allowed = MAY_IMPORT[from.startsWith("mesh/") ? "mesh" : from];
    if (allowed === undefined) {
      wrong.push(`${file.path}: the table has no row for ${from}`);
      continue;
    }
    for (const target of importsOf(file)) {
      const to = partOf(target);
      if (to !== from && !allowed.includes(to)) wrong.push(`${file.path} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("every relative import names a file of src, with its extension", () => {
  const missing = FILES.flatMap((file) =>
    importsOf(file)
      .filter((target) => !PATHS.has(target) && !target.startsWith(GENERATED))
      .map((target) => `${file.path} imports ${target}`),
  );
  assert.deepEqual(missing, []);
});

test("no cycles between files, type imports included", () => {
  const graph = new Map(FILES.map((file) => [file.path, importsOf(file)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) {
      cycles.push([...trail.slice(at), path].join(" -> "));
      return;
    }
    if (done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  assert.deepEqual(cycles, []);
});

test("nothing has a name that says nothing", () => {
  const empty = /^(?:utils?|helpers?|common|shared|types?|manager|base)(?:\.ts)?$/i;
  assert.deepEqual(
    FILES.map(({ path }) => path).filter((path) => path.split("/").some((part) => empty.test(part))),
    [],
  );
});

test("no source file is longer than 350 lines", () => {
  const long = FILES.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
  assert.deepEqual(
    long.filter(({ lines }) => lines > 350),
    [],
  );
});

test("tests take fast-check from where its seed is told", () => {
  const importers = globSync("test/**/*.ts").filter((file) =>
    /^import .* from "fast-check"/m.test(readFileSync(file, "utf8")),
  );
  assert.deepEqual(importers, ["test/support/fast-check.ts"]);
});
