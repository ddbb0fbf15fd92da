import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { compile } from "../../src/compile/compile.ts";
import { hashModel } from "../../src/compile/hash-model.ts";
import type { CredentialStatuses } from "../../src/compile/statuses.ts";
import { sortDiagnostics } from "../../src/diagnostics/render.ts";
import { parseObject } from "../../src/resources/envelope.ts";
import type { AnyResource, ParsedObject } from "../../src/resources/kinds.ts";
import { createResourceSet } from "../../src/resources/resource-set.ts";
import { parseYaml } from "../../src/sources/files/yaml.ts";
import { goldenCases } from "../golden/case.ts";

/** The objects of each golden case; their names are few, so that what is put together has duplicates too. */
const WORLDS: readonly (readonly ParsedObject[])[] = goldenCases().flatMap(({ name, folder }) => {
  const input = join(folder, "input.yaml");
  if (!existsSync(input)) return [];
  return [parseYaml(name, readFileSync(input, "utf8")).objects.map((raw) => parseObject(raw, "default"))];
});

const statuses: CredentialStatuses = {
  credential: (name) =>
    name.includes("missing") ? undefined : name.length % 5 === 0 ? BROKEN : { usable: true },
  trust: (name) => (name.length % 7 === 0 ? BROKEN : { usable: true }),
  crl: () => ({ usable: true }),
  hasTrustAnchors: (name) => name.length % 3 === 0,
};
const BROKEN = { usable: false, code: "pem-invalid", reason: "it is broken" } as const;
const options = {
  engine: "node" as const,
  address: "127.0.0.1",
};

function outcome(objects: readonly ParsedObject[]): { hash: string; findings: string } {
  const found = objects.map(({ resource }) => resource).filter((one): one is AnyResource => one !== null);
  const set = createResourceSet(found);
  const { model, diagnostics } = compile({ resources: set.resources, statuses, options });
  return {
    hash: hashModel(model),
    findings: JSON.stringify(sortDiagnostics([...set.diagnostics, ...diagnostics])),
  };
}

test("the order of the input decides nothing: one hash, the same findings", () => {
  const worlds = fc
    .array(fc.constantFrom(...WORLDS), { minLength: 1, maxLength: 5 })
    .map((several) => several.flat());
  const orders = worlds.chain((world) =>
    fc.tuple(
      fc.constant(world),
      fc.shuffledSubarray([...world], { minLength: world.length, maxLength: world.length }),
    ),
  );
  fc.assert(
    fc.property(orders, ([world, shuffled]) => {
      assert.deepEqual(outcome(shuffled), outcome(world));
    }),
    { numRuns: 3000, interruptAfterTimeLimit: 10_000 },
  );
});
