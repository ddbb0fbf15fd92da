import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { enginesPage } from "../../scripts/engines-doc.ts";
import { capabilities, ENGINE_NAMES } from "../../src/model/capabilities.ts";
import { SKIP_GROUPS, SKIPS } from "../behaviour/skips.ts";

const PAGE = readFileSync(new URL("../../docs/engines.md", import.meta.url), "utf8");

test("docs/engines.md has the table of capabilities and the list of skips as they are: npm run docs:engines", () => {
  assert.equal(PAGE, enginesPage(PAGE));
});

test("what one engine alone cannot do names that engine, so that a reader knows where it holds", () => {
  const unsaid = capabilities().flatMap((each) => {
    const cannot = ENGINE_NAMES.filter((engine) => each[engine] !== null);
    const [only] = cannot;
    if (only === undefined || cannot.length > 1) return [];
    const { message, remedy } = each[only] as { message: string; remedy: string };
    return /\bengine\b|\bEnvoy\b/.test(`${message} ${remedy}`) ? [] : [each.feature];
  });
  assert.deepEqual(unsaid, []);
});

test("every group of skips is used, and every skip says why", () => {
  assert.deepEqual(
    Object.keys(SKIP_GROUPS).filter((group) => !SKIPS.some((skip) => skip.group === group)),
    [],
  );
  assert.deepEqual(
    SKIPS.filter(({ reason }) => reason.length < 20),
    [],
  );
});
