import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { mappingYaml } from "../../support/certificates.ts";
import { folder, write } from "./folder.ts";
import { seen, sourceOf } from "./offers.ts";

const mapping = (name: string, service = "localhost"): string =>
  mappingYaml(name, { prefix: `/${name}/`, service });

describe("what cannot be read keeps what it held, and nothing else", () => {
  test("a folder: files elsewhere come and go meanwhile", async (context) => {
    const root = await folder(context, {
      "a.yaml": mapping("a"),
      ".mounted/b.yaml": mapping("b"),
      "c.yaml": mapping("c"),
    });
    await symlink(".mounted", join(root, "mounted"));
    const source = sourceOf(root);
    assert.deepEqual(await seen(source), { mappings: ["a", "b", "c"], findings: [], complete: true });
    await rename(join(root, ".mounted"), join(root, ".unmounted"));
    await rm(join(root, "a.yaml"));
    await write(root, "d.yaml", mapping("d"));
    assert.deepEqual(await seen(source), {
      mappings: ["b", "c", "d"],
      findings: ["file-unreadable mounted:1"],
      complete: false,
    });
    await rename(join(root, ".unmounted"), join(root, ".mounted"));
    assert.deepEqual(await seen(source), { mappings: ["b", "c", "d"], findings: [], complete: true });
    await rm(join(root, "mounted"));
    assert.deepEqual(await seen(source), { mappings: ["c", "d"], findings: [], complete: true });
  });

  test("a file that becomes a FIFO", async (context) => {
    const root = await folder(context, { "a.yaml": mapping("a"), "b.yaml": mapping("b") });
    const source = sourceOf(root);
    await source.load();
    await rm(join(root, "a.yaml"));
    execFileSync("mkfifo", [join(root, "a.yaml")]);
    assert.deepEqual(await seen(source), {
      mappings: ["a", "b"],
      findings: ["file-unreadable a.yaml:1"],
      complete: false,
    });
  });

  test("a document: others of its file change and go", async (context) => {
    const root = await folder(context, { "a.yaml": mapping("a") + mapping("b") + mapping("c") });
    const source = sourceOf(root);
    await source.load();
    await write(root, "a.yaml", `${mapping("a")}---\nkind: [\n${mapping("d")}`);
    // Either of b and c may be the one that is broken.
    assert.deepEqual(await seen(source), {
      mappings: ["a", "b", "c", "d"],
      findings: ["yaml-syntax a.yaml:4"],
      complete: true,
    });
    await write(root, "a.yaml", mapping("a") + mapping("d"));
    assert.deepEqual(await seen(source), { mappings: ["a", "d"], findings: [], complete: true });
  });
});

test("at the start nothing is known of a document that cannot be read", async (context) => {
  const root = await folder(context, { "a.yaml": `${mapping("a")}---\nkind: [\n` });
  assert.deepEqual(await seen(sourceOf(root)), {
    mappings: ["a"],
    findings: ["yaml-syntax a.yaml:4"],
    complete: false,
  });
});

test("documents that have not changed are the same objects; those that moved say where they stand now", async (context) => {
  const root = await folder(context, { "all.yaml": mapping("a") + mapping("b") + mapping("c") });
  const source = sourceOf(root);
  const before = (await source.load()).resources.mappings;
  const changed = `${mapping("b", "elsewhere")}# a line more\n`;
  await write(root, "all.yaml", mapping("a") + changed + mapping("c"));
  const after = (await source.load()).resources.mappings;
  assert.deepEqual(
    after.map(({ spec }) => spec.service),
    ["localhost", "elsewhere", "localhost"],
  );
  assert.equal(after[0], before[0], "what stands where it stood is taken over");
  const line = (index: number): number | undefined => after[index]?.raw.source.line;
  assert.equal(line(1), before[1]?.raw.source.line);
  assert.equal(line(2), (before[2]?.raw.source.line ?? 0) + 1, "a line was added above it");
});

test("the objects of a List, as kubectl writes one, are read with their places", async (context) => {
  const items = ["a", "b"].map(
    (name) =>
      `- apiVersion: getambassador.io/v2\n  kind: Mapping\n  metadata: { name: ${name} }\n  spec: { prefix: /${name}/, service: s }\n`,
  );
  const root = await folder(context, {
    "list.yaml": `apiVersion: v1\nkind: List\nitems:\n${items.join("")}- 7\n`,
  });
  const { resources, diagnostics } = await sourceOf(root).load();
  assert.deepEqual(
    resources.mappings.map(({ name, raw }) => [name, raw.source.line, raw.fields.get("spec.prefix")?.line]),
    [
      ["a", 4, 7],
      ["b", 8, 11],
    ],
  );
  assert.deepEqual(
    diagnostics.map(({ code, source }) => [code, source?.line]),
    [["kind-missing", 12]],
  );
});

test("the objects of a List may name anchors of what stands before them in it", async (context) => {
  const item = (name: string, rest: string): string =>
    `- apiVersion: getambassador.io/v2\n  kind: Mapping\n  metadata: { name: ${name} }\n  ${rest}\n`;
  const root = await folder(context, {
    "list.yaml":
      `apiVersion: v1\nkind: List\nmetadata: { annotations: { service: &service s } }\nitems:\n` +
      item("a", "spec: &spec { prefix: /a/, service: *service }") +
      item("b", "spec: *spec"),
  });
  const { resources, diagnostics } = await sourceOf(root).load();
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(
    resources.mappings.map(({ name, raw }) => [name, raw.source.line]),
    [
      ["a", 5],
      ["b", 9],
    ],
  );
});
