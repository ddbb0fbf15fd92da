import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { mappingYaml, secretYaml } from "../../support/certificates.ts";
import { folder, write } from "./folder.ts";
import { Offers, seen, sourceOf } from "./offers.ts";

const NAME = "secret/default/s";
const secret = (privateKey: string, namespace = "default"): string =>
  secretYaml("s", { certificate: "chain", privateKey, namespace });

describe("Secrets are handed on when they are read", () => {
  test("once, again when they change or move, and withdrawn when they go", async (context) => {
    const root = await folder(context, { "a.yaml": secret("one") });
    const offers = new Offers();
    const source = sourceOf(root, offers);
    await source.load();
    await source.load();
    assert.deepEqual(offers.told, [`offer ${NAME}`]);
    assert.deepEqual(offers.held.get(NAME)?.material, { certificateChain: "chain", privateKey: "one" });
    await write(root, "a.yaml", `\n${secret("one")}`);
    await source.load();
    assert.equal(offers.held.get(NAME)?.origin.source?.line, 3);
    await write(root, "a.yaml", secret("two"));
    await source.load();
    assert.equal(offers.held.get(NAME)?.material.privateKey, "two");
    await rm(join(root, "a.yaml"));
    await source.load();
    assert.deepEqual(offers.told, [...Array(3).fill(`offer ${NAME}`), `remove ${NAME}`]);
  });

  test("and only their bytes change: the resources are the very same, so that nothing is compiled", async (context) => {
    const mapping = (prefix: string) => mappingYaml("m", { prefix, service: "a" });
    const files = { "a.yaml": secret("one"), "m.yaml": mapping("/a/") };
    const root = await folder(context, files);
    const source = sourceOf(root, new Offers());
    const { resources } = await source.load();
    await write(root, "a.yaml", secret("two"));
    assert.equal((await source.load()).resources, resources);
    await write(root, "m.yaml", mapping("/b/"));
    const changed = (await source.load()).resources;
    assert.notEqual(changed, resources);
    assert.equal(changed.mappings[0]?.spec.prefix, "/b/");
    await write(root, "b.yaml", secret("three", "other"));
    assert.notEqual((await source.load()).resources, changed);
  });

  test("of two different ones with one name none is offered, and the one that stays is read again", async (context) => {
    const root = await folder(context, { "a.yaml": secret("one"), "b.yaml": secret("two") });
    const offers = new Offers();
    const source = sourceOf(root, offers);
    assert.deepEqual((await seen(source)).findings, ["object-duplicate a.yaml:2"]);
    assert.deepEqual(offers.told, []);
    await rm(join(root, "a.yaml"));
    assert.deepEqual((await seen(source)).findings, []);
    assert.equal(offers.held.get(NAME)?.material.privateKey, "two");
    await write(root, "a.yaml", secret("one"));
    await source.load();
    assert.deepEqual(offers.told, [`offer ${NAME}`, `remove ${NAME}`]);
  });

  test("of two equal ones the first is offered, then the other, without a gap", async (context) => {
    const root = await folder(context, { "a.yaml": secret("one"), "b.yaml": secret("one") });
    const offers = new Offers();
    const source = sourceOf(root, offers);
    assert.deepEqual((await seen(source)).findings, ["object-repeated a.yaml:2"]);
    await rm(join(root, "a.yaml"));
    assert.deepEqual((await seen(source)).findings, []);
    assert.deepEqual(offers.told, [`offer ${NAME}`, `offer ${NAME}`]);
    assert.match(offers.held.get(NAME)?.origin.source?.file ?? "", /b\.yaml$/);
  });

  test("one in a document that breaks, or a file that cannot be read, stays offered", async (context) => {
    const root = await folder(context, { "a.yaml": secret("one") });
    const offers = new Offers();
    const source = sourceOf(root, offers);
    await source.load();
    await write(root, "a.yaml", `${secret("one")}  tls.key: again\n`);
    assert.deepEqual((await seen(source)).findings, ["yaml-ambiguous a.yaml:9"]);
    await rm(join(root, "a.yaml"));
    execFileSync("mkfifo", [join(root, "a.yaml")]);
    const { findings } = await seen(source);
    assert.deepEqual(findings, ["file-unreadable a.yaml:1", "yaml-ambiguous a.yaml:9"]);
    assert.deepEqual(offers.told, [`offer ${NAME}`]);
  });

  test("one that cannot be read again is not offered, and is once it can be", async (context) => {
    const root = await folder(context, { "a.yaml": secret("one"), "b.yaml": secret("two") });
    const offers = new Offers();
    const source = sourceOf(root, offers);
    await source.load();
    await rm(join(root, "a.yaml"));
    await rename(join(root, "b.yaml"), join(root, ".b"));
    execFileSync("mkfifo", [join(root, "b.yaml")]);
    await source.load();
    assert.deepEqual(offers.told, []);
    await rename(join(root, ".b"), join(root, "b.yaml"));
    await source.load();
    assert.deepEqual(offers.told, [`offer ${NAME}`]);
  });
});

test("nothing of a key stays in memory for the source's sake", async (context) => {
  const key = randomBytes(3000).toString("hex");
  const encoded = Buffer.from(key).toString("base64");
  // Unquoted, so that the parser need not build texts of its own.
  const text =
    "---\napiVersion: getambassador.io/v2\nkind: Mapping\nmetadata:\n  name: a-mapping-with-a-long-name\n" +
    "spec:\n  prefix: /a/long/prefix/\n  service: a-service-with-a-long-name\n";
  const root = await folder(context, {
    "a.yaml": text + secret(key) + text.replaceAll("a-mapping", "another"),
    "b.yaml": secret(key),
    "broken.yaml": `${secret(key)}  tls.key: "open\n`,
    "list.yaml": `---\napiVersion: v1\nkind: List\nmetadata: {name: l}\nitems:\n- kind: Secret\n  stringData: {tls.key: ${key}}\n`,
    "odd.yaml": `---\napiVersion: v1\nkind: Secret\nmetadata: {name: another-secret-of-long-name}\ntype: of-a-kind-unknown\nstringData: {tls.key: ${key}}\n`,
    "key.pem": key,
  });
  const script = fileURLToPath(new URL("./retained.ts", import.meta.url));
  const snapshot = join(root, ".heapsnapshot");
  const said = execFileSync(process.execPath, [
    "--heap-snapshot-string-limit=1000000",
    script,
    root,
    snapshot,
  ]);
  assert.equal(said.toString(), "[2,4] load,watch CertificateFiles");
  const heap = await readFile(snapshot, "utf8");
  assert.ok(heap.includes("another-with-a-long-name"), "the snapshot shows what the source holds");
  for (const whole of [key, encoded])
    for (let at = 0; at + 32 <= whole.length; at += 500)
      assert.ok(!heap.includes(whole.slice(at, at + 32)), `the text at ${at} is in memory`);
});
