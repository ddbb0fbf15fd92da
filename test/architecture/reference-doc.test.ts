import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { RE2JS } from "re2js";
import { parse } from "yaml";
import { referenceFiles } from "../../scripts/reference/files.ts";
import { KINDS } from "../../scripts/reference/kinds.ts";
import { type FieldSchema, nestedFields } from "../../scripts/reference/schema.ts";
import type { StructuralSchema } from "../../scripts/reference/structural.ts";
import { parseObject } from "../../src/resources/envelope.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FILES = referenceFiles();

test("docs/reference and deploy/crds are what `npm run reference` makes", () => {
  const there = [
    ...globSync("docs/reference/*", { cwd: ROOT }),
    ...globSync("deploy/crds/*", { cwd: ROOT }),
  ].map((path) => path.replaceAll("\\", "/"));
  assert.deepEqual(there.sort(), [...FILES.keys()].sort());
  for (const [path, text] of FILES)
    assert.ok(
      existsSync(`${ROOT}${path}`) && readFileSync(`${ROOT}${path}`, "utf8") === text,
      `${path} is not current: npm run reference`,
    );
});

test("every field says what it takes and what it does, those of nested blocks too", () => {
  const silent: string[] = [];
  const visit = (path: string, properties: Readonly<Record<string, FieldSchema>>): void => {
    for (const [name, field] of Object.entries(properties)) {
      // An entry of a list or map of alternatives is told by the field that it stands in.
      const isTold = field.description !== undefined && field.does !== undefined;
      if (!isTold && !TOLD_ABOVE.has(`${path}.${name}`)) silent.push(`${path}.${name}`);
      visit(`${path}.${name}`, nestedFields(field)?.properties ?? {});
    }
  };
  for (const { kind, fields } of KINDS) visit(kind, fields.properties as Record<string, FieldSchema>);
  assert.deepEqual(silent, []);
});

const TOLD_ABOVE = new Set(
  ["Mapping", "Module", "Module.defaults", "Module.defaults.httpmapping"]
    .flatMap((owner) => ["add_request_headers", "add_response_headers"].map((field) => `${owner}.${field}`))
    .flatMap((field) => [`${field}.value`, `${field}.append`])
    .concat(["Module.ip_allow", "Module.ip_deny"].flatMap((field) => [`${field}.peer`, `${field}.remote`])),
);

test("the example of each kind, and of each field, is read without a finding", () => {
  for (const { kind, name, below, example, fields } of KINDS) {
    const read = (spec: Readonly<Record<string, unknown>>) =>
      parseObject(
        {
          value: {
            apiVersion: "getambassador.io/v2",
            kind,
            metadata: { name: name ?? "example" },
            spec: below === undefined ? spec : { [below]: spec },
          },
          source: { file: "example.yaml", line: 1, column: 1 },
          fields: new Map(),
        },
        "default",
      ).diagnostics.filter(({ code }) => code !== "kind-not-supported");
    assert.deepEqual(read(example), [], kind);
    for (const [field, schema] of Object.entries(fields.properties as Record<string, FieldSchema>)) {
      for (const value of schema.examples ?? [])
        assert.deepEqual(read({ ...example, [field]: value }), [], `${kind}.${field}`);
    }
  }
});

test("every CRD has a structural schema", () => {
  for (const [path, text] of FILES) {
    if (!path.startsWith("deploy/")) continue;
    const { metadata, spec } = parse(text);
    assert.equal(metadata.name, `${spec.names.plural}.${spec.group}`);
    assert.equal(spec.versions.filter(({ storage }: { storage: boolean }) => storage).length, 1);
    const problems: string[] = [];
    checkStructural(spec.versions[0].schema.openAPIV3Schema, path, problems);
    assert.deepEqual(problems, []);
  }
});

/** The rules of the Kubernetes documentation, "Specifying a structural schema", and no keyword that it does not take. */
function checkStructural(schema: StructuralSchema, path: string, problems: string[]): void {
  const unknown = Object.keys(schema).filter((key) => !KEYWORDS.has(key));
  if (unknown.length > 0) problems.push(`${path}: ${unknown.join(", ")}`);
  const isOpen = schema["x-kubernetes-preserve-unknown-fields"] === true;
  const isEither = schema["x-kubernetes-int-or-string"] === true;
  if (schema.type === undefined && !isOpen && !isEither) problems.push(`${path}: no type`);
  if (schema.type !== undefined && isEither) problems.push(`${path}: a type beside int-or-string`);
  // The API server is written in Go, whose expressions are RE2's.
  if (schema.pattern !== undefined) RE2JS.compile(schema.pattern);
  if (schema.type === "array" && schema.items === undefined) problems.push(`${path}: a list of what?`);
  if (schema.properties !== undefined && schema.additionalProperties !== undefined)
    problems.push(`${path}: properties and additionalProperties exclude each other`);
  for (const name of schema.required ?? [])
    if (schema.properties?.[name] === undefined) problems.push(`${path}: ${name} is required and unknown`);
  for (const [name, inner] of Object.entries(schema.properties ?? {}))
    checkStructural(inner, `${path}.${name}`, problems);
  if (schema.items !== undefined) checkStructural(schema.items, `${path}[]`, problems);
  if (schema.additionalProperties !== undefined)
    checkStructural(schema.additionalProperties, `${path}.*`, problems);
}

const KEYWORDS = new Set([
  ...["type", "description", "properties", "additionalProperties", "items", "required", "enum"],
  ...["minimum", "maximum", "minLength", "pattern"],
  ...["x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"],
]);
