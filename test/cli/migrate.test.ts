import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { findMigrations } from "../../src/cli/migrate.ts";
import { MIGRATIONS } from "../../src/migrate/catalogue.ts";
import { migrationText } from "../../src/migrate/render.ts";
import { certificates } from "../support/certificates.ts";
import { credence, mapping, scratch } from "./credence.ts";
import { CASES } from "./migration-cases.ts";

async function withPem(yaml: string): Promise<string> {
  const { ca, client } = await certificates();
  const indented = (pem: string): string => pem.trim().replaceAll("\n", "\n    ");
  return yaml
    .replace(/(?<= {4})CERT$/gm, indented(client.certificate))
    .replace(/(?<= {4})KEY$/gm, indented(client.privateKey))
    .replace(/(?<= {4})CA$/gm, indented(ca.certificate));
}

test("every code has a case, and every case its finding", async (t) => {
  assert.deepEqual([...new Set(CASES.map(({ code }) => code))].sort(), Object.keys(MIGRATIONS).sort());
  const folder = scratch(t);
  for (const [index, { code, severity, yaml, of, before, now }] of CASES.entries()) {
    const file = join(folder, `${index}.yaml`);
    writeFileSync(file, await withPem(yaml));
    const { findings } = await findMigrations([file], { ambassadorId: "default" });
    const said = findings.map((found) => `${found.code} ${found.subject.name}`).join(", ");
    const found = findings.find((each) => each.code === code && each.subject.name === of);
    assert.ok(found, `${code} is not among: ${said}`);
    assert.equal(found.severity, severity, code);
    assert.match(found.before, before, code);
    assert.match(found.now, now, code);
    assert.equal(found.source?.file, file);
    for (const { edit } of findings) {
      const documents = parseAllDocuments(edit?.yaml ?? "");
      assert.deepEqual(Array.isArray(documents) ? documents.flatMap(({ errors }) => errors) : [], []);
    }
    const text = findings.map((each) => migrationText(each, false)).join("\n");
    assert.ok(!text.includes("PRIVATE KEY"), "no key is printed");
  }
});

test("what was safe is not reported: only what is better anyway", async (t) => {
  const yaml = await withPem(`---
apiVersion: getambassador.io/v2
kind: TLSContext
metadata: { name: up }
spec: { hosts: [], secret: certs, ca_secret: ca, sni: quote, max_tls_version: v1.3 }
---
apiVersion: getambassador.io/v2
kind: Module
metadata: { name: ambassador }
spec: { config: { diagnostics: { enabled: false }, defaults: { tls_secret_namespacing: true } } }
---
apiVersion: v1
kind: Secret
metadata: { name: certs }
stringData:
  tls.crt: |
    CERT
  tls.key: |
    KEY
---
apiVersion: v1
kind: Secret
metadata: { name: ca }
stringData:
  tls.crt: |
    CA
---
${mapping("a", "/a/", "quote")}  tls: up
---
${mapping("b", "/b/", "plain")}`);
  const folder = scratch(t, { "a.yaml": yaml });
  const { findings } = await findMigrations([folder], { ambassadorId: "default" });
  assert.deepEqual(
    findings.map(({ code, subject }) => `${code} ${subject.name}`),
    ["keys-on-disk certs", "upstream-name-not-checked a"],
  );
});

test("the smallest edit: a name to mend, a namespace to add", async (t) => {
  const context = (secret: string): string =>
    `---\napiVersion: getambassador.io/v2\nkind: TLSContext\nmetadata: { name: upstream }\nspec: { secret: ${secret} }\n`;
  const edits = async (yaml: string): Promise<(string | undefined)[]> => {
    const { findings } = await findMigrations([scratch(t, { "a.yaml": yaml })], { ambassadorId: "default" });
    return findings.filter(({ code }) => code === "cleartext-fallback").map(({ edit }) => edit?.yaml);
  };
  const misspelt = `${mapping("a", "/a/", "quote")}  tls: upstraem\n${context("certs")}`;
  assert.deepEqual(await edits(misspelt), ["tls: upstream\n"]);
  const elsewhere = await withPem(
    `${mapping("a", "/a/", "quote")}  tls: upstream\n${context("certs")}---\napiVersion: v1\nkind: Secret\n` +
      "metadata: { name: certs, namespace: edge }\nstringData:\n  tls.crt: |\n    CERT\n  tls.key: |\n    KEY\n",
  );
  assert.deepEqual(await edits(elsewhere), ["secret: certs.edge\n"]);
});

test("objects in annotations count like any other, and those of other gateways do not", async (t) => {
  const folder = scratch(t, {
    "service.yaml": `apiVersion: v1
kind: Service
metadata:
  name: shop
  annotations:
    getambassador.io/config: |
      ---
      apiVersion: getambassador.io/v2
      kind: Host
      name: shop
      hostname: shop.example
      requestPolicy: { insecure: { action: Reject } }
---
apiVersion: getambassador.io/v2
kind: Host
metadata: { name: other }
spec: { ambassador_id: [blue], hostname: other.example, tlsSecret: { name: gone } }
`,
  });
  const { findings } = await findMigrations([folder], { ambassadorId: "default" });
  assert.deepEqual(
    findings.map(({ code, subject, source }) => [code, subject.name, source?.line]),
    [["reject-is-404", "shop", 12]],
  );
});

test("text and JSON, and exit codes as check has them", async (t) => {
  const stops = scratch(t, { "a.yaml": `${mapping("a", "/a/", "quote")}  tls: nobody\n` });
  const text = await credence(t, "migrate", stops);
  assert.equal(text.code, 1);
  assert.match(text.stdout, /a\.yaml:8:3: error cleartext-fallback Mapping a/);
  assert.match(text.stdout, /1\.14: .*cleartext/);
  assert.match(text.stdout, /Credence: .*503/);
  assert.match(text.stdout, /\n {6}kind: TLSContext/);
  const json = await credence(t, "migrate", stops, "--format", "json");
  assert.equal(json.code, 1);
  const report = JSON.parse(json.stdout);
  assert.deepEqual(Object.keys(report), ["version", "findings", "summary"]);
  assert.equal(report.summary.errors, 1);
  const [finding] = report.findings.filter(({ code }: { code: string }) => code === "cleartext-fallback");
  assert.deepEqual(Object.keys(finding), [
    ...["code", "severity", "subject", "source", "also", "before", "now", "edit"],
  ]);
  const fine = scratch(t, { "a.yaml": mapping("a", "/a/", "quote") });
  assert.equal((await credence(t, "migrate", fine)).code, 0);
  const broken = scratch(t, { "a.yaml": `${mapping("a", "/a/", "quote")}---\n{` });
  const unread = await credence(t, "migrate", broken);
  assert.equal(unread.code, 1);
  assert.match(unread.stderr, /could not be read/);
});

test("docs/migrating.md explains every code, and nothing else", () => {
  const page = readFileSync(new URL("../../docs/migrating.md", import.meta.url), "utf8");
  const headings = [...page.matchAll(/^### `([^`]+)`$/gm)].map(([, code]) => code as string);
  assert.deepEqual([...headings].sort(), Object.keys(MIGRATIONS).sort());
  for (const section of page.split(/^### /m).slice(1)) {
    const [heading = "", ...lines] = (section.split(/^## /m)[0] as string).split("\n");
    const code = heading.replaceAll("`", "") as keyof typeof MIGRATIONS;
    assert.match(
      lines.join("\n"),
      new RegExp(`^\\n${MIGRATIONS[code]}[.;]`, "i"),
      `${code} says its severity first`,
    );
    assert.ok((lines.join(" ").match(/[.:](?=\s|$)/g) ?? []).length >= 3, `${code} says too little`);
  }
});
