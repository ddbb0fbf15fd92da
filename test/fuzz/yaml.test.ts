import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { compile } from "../../src/compile/compile.ts";
import { renderText } from "../../src/diagnostics/render.ts";
import { parseObject } from "../../src/resources/envelope.ts";
import { createResourceSet } from "../../src/resources/resource-set.ts";
import { parseYaml } from "../../src/sources/files/yaml.ts";
import { changedText, changedTree, SEEDS, TREES } from "./yaml-mutations.ts";

/** Each property runs so often, or for so long, whichever ends first. */
const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 5000);
const LIMIT_MS = Number(process.env.CREDENCE_FUZZ_MS ?? 5000);

const sibling = (name: string): string =>
  `apiVersion: getambassador.io/v2\nkind: Mapping\nmetadata:\n  name: ${name}\nspec:\n  prefix: /${name}-of-its-own/\n  service: ${name}\n`;

/** From the text of a file to a model, as the gateway does it. No statuses, or all good. */
function run(text: string, usable: boolean): { mappings: Map<string, number>; routes: string } {
  const parsed = parseYaml("f.yaml", text);
  const lines = text.split("\n").length;
  for (const { value, source, fields } of parsed.objects) {
    // Plain data without circles.
    JSON.stringify(value);
    for (const place of [source, ...fields.values()]) assert.ok(place.line <= lines && place.column >= 1);
  }
  const objects = parsed.objects.map((raw) => parseObject(raw, "default"));
  const set = createResourceSet(objects.flatMap(({ resource }) => (resource === null ? [] : [resource])));
  const status = usable ? ({ usable: true } as const) : undefined;
  const { model, diagnostics } = compile({
    resources: set.resources,
    statuses: {
      credential: () => status,
      trust: () => status,
      crl: () => status,
      hasTrustAnchors: () => usable,
    },
    options: {
      engine: "node",
      address: "0.0.0.0",
    },
  });
  const all = [...parsed.diagnostics, ...objects.flatMap((object) => object.diagnostics), ...set.diagnostics];
  for (const diagnostic of [...all, ...diagnostics]) {
    const { source } = diagnostic;
    assert.ok(source === undefined || (source.line >= 1 && source.line <= lines), diagnostic.message);
    renderText(diagnostic, () => text);
  }
  assert.equal(parsed.complete, parsed.diagnostics.length === 0);
  return {
    mappings: new Map(set.resources.mappings.map(({ name, raw }) => [name, raw.source.line])),
    routes: JSON.stringify(model.routes),
  };
}

/** Whatever stands between them, both siblings are read, where they stand, and have their routes. */
function siblingsSurvive(changed: string, usable: boolean): void {
  const middle = changed.endsWith("\n") ? changed : `${changed}\n`;
  const text = `${sibling("before")}---\n${middle}---\n${sibling("after")}`;
  const started = process.cpuUsage();
  const { mappings, routes } = run(text, usable);
  const { user, system } = process.cpuUsage(started);
  assert.ok(user + system < 2_000_000, "takes longer than two seconds");
  assert.equal(mappings.get("before"), 1);
  assert.ok(routes.includes("mapping/default/before"));
  // A directive before a marker is the next document's: that is then not as it was.
  if (/^%/m.test(middle)) return;
  assert.equal(mappings.get("after"), text.split("\n").length - 7);
  assert.ok(routes.includes("mapping/default/after"));
}

test("the corpus is there", () => {
  assert.ok(SEEDS.length > 100 && TREES.length > 100);
  for (const seed of SEEDS) siblingsSurvive(seed, true);
});

for (const [what, changed] of [
  ["structure", changedTree],
  ["text", changedText],
] as const) {
  test(`whatever is changed in a document's ${what}: nothing throws or hangs, and its siblings survive`, () => {
    fc.assert(fc.property(changed, fc.boolean(), siblingsSurvive), {
      numRuns: RUNS,
      interruptAfterTimeLimit: LIMIT_MS,
    });
  });
}
