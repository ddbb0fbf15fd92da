import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CATALOGUE } from "../../src/diagnostics/catalogue.ts";
import { FAILURE_REASONS } from "../../src/diagnostics/failure.ts";
import { CLIENT_REMEDIES, HANDSHAKE_REASONS } from "../../src/diagnostics/handshake.ts";
import { MIGRATIONS } from "../../src/migrate/catalogue.ts";
import { sourceFiles } from "./source-files.ts";

const CODES = [...Object.keys(CATALOGUE), ...Object.keys(FAILURE_REASONS)];
const PAGE = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");

test("docs/errors.md explains every code, and nothing else", () => {
  const headings = [...PAGE.matchAll(/^### `([^`]+)`$/gm)].map(([, code]) => code as string);
  assert.deepEqual([...headings].sort(), [...CODES].sort());
  assert.equal(new Set(headings).size, headings.length, "no code has two headings");
});

test("each code in docs/errors.md has two to five sentences", () => {
  for (const section of PAGE.split(/^### /m).slice(1)) {
    const [heading = "", ...text] = (section.split(/^## /m)[0] as string).split("\n");
    const sentences = text.join(" ").match(/[.:](?=\s|$)/g) ?? [];
    assert.ok(sentences.length >= 2, `${heading} says too little`);
  }
});

test("a failure's status is the one docs/errors.md says", () => {
  for (const [reason, status] of Object.entries(FAILURE_REASONS)) {
    assert.match(PAGE, new RegExp(`### \`${reason}\`\\n\\nStatus ${status}[.,]`), reason);
  }
});

test("every code is used", () => {
  const text = sourceFiles()
    .filter(({ path }) => !["diagnostics/catalogue.ts", "diagnostics/failure.ts"].includes(path))
    // A set that codes are looked up in gives none, and neither does a type.
    .map((file) => file.text.replace(/new Set\(\[[^\]]*\]\)/g, ""))
    .join("\n");
  const unused = CODES.filter((code) => !text.includes(`"${code}"`) && !text.includes(`.${code}`));
  assert.deepEqual(unused, []);
});

test("every code that src reports exists", () => {
  for (const { path, text } of sourceFiles()) {
    // The rules of `credence migrate` have a catalogue of their own.
    const known = path.startsWith("migrate/") ? Object.keys(MIGRATIONS) : CODES;
    for (const [, code] of text.matchAll(/\b(?:diagnose|report)\(\s*"([a-z0-9-]+)"/g)) {
      assert.ok(known.includes(code as string), `${path}: ${code}`);
    }
  }
});

test("docs/errors.md has each reason of handshakes, in the words of the diag page", () => {
  const [, section = ""] = PAGE.split("## Why handshakes fail");
  const rows = [...section.matchAll(/^\| `(\w+)` *\| ([^|\n]+?) *\| ([^|\n]+?) *\|$/gm)];
  assert.deepEqual(
    Object.fromEntries(rows.map(([, reason, is, remedy]) => [reason, { is, remedy }])),
    HANDSHAKE_REASONS,
  );
  const ofClients = [...section.matchAll(/^\| `(\w+)` *\| ([^|\n]+?) *\|$/gm)];
  assert.deepEqual(
    Object.fromEntries(ofClients.map(([, reason, remedy]) => [reason, remedy])),
    CLIENT_REMEDIES,
  );
});
