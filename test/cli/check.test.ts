import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createAuthority } from "../../src/x509/authority.ts";
import { Credence, credence, credenceReading, mapping, scratch } from "./credence.ts";

const TLS = `---
apiVersion: getambassador.io/v2
kind: TLSContext
metadata:
  name: context
spec:
  hosts: []
  secret: certs
`;

function secret(certificate: string, key: string): string {
  const encode = (text: string): string => Buffer.from(text).toString("base64");
  return `---
apiVersion: v1
kind: Secret
metadata:
  name: certs
type: kubernetes.io/tls
data:
  tls.crt: ${encode(certificate)}
  tls.key: ${encode(key)}
`;
}

test("a FIFO is named as one, and nobody waits for who writes to it", { timeout: 60_000 }, async (t) => {
  const fifo = join(scratch(t, {}), "a.yaml");
  execFileSync("mkfifo", [fifo]);
  const { code, stdout } = await credence(t, "check", fifo);
  assert.equal(code, 1);
  assert.match(stdout, /a FIFO, no regular file/);
});

test("nothing wrong: exit 0", async (t) => {
  const { code, stdout, stderr } = await credence(
    t,
    "check",
    scratch(t, { "a.yaml": mapping("a", "/a/", "localhost:1") }),
  );
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /0 errors, 0 warnings/);
});

test("- is standard input, by itself or among paths, and is shown as <stdin>", async (t) => {
  const faulty = `${mapping("a", "/a/", "localhost:1")}  tls: nobody\n`;
  const alone = await credenceReading(t, faulty, "check", "-");
  assert.equal(alone.code, 1);
  assert.match(alone.stdout, /^<stdin>:8:3: error tls-context-missing Mapping a/);
  assert.match(alone.stdout, /> 8 \| {3}tls: nobody/);
  const folder = scratch(t, { "a.yaml": mapping("a", "/b/", "localhost:1") });
  const both = await credenceReading(t, faulty, "check", folder, "-", "-", "--format", "json");
  const found = JSON.parse(both.stdout).diagnostics as { code: string; source: { file: string } }[];
  assert.deepEqual(
    new Set(found.map(({ code, source }) => `${code} ${source.file}`)),
    new Set(["object-duplicate <stdin>", `object-duplicate ${join(folder, "a.yaml")}`]),
  );
  const broken = await credenceReading(t, "a: b: c", "check", "-");
  assert.match(broken.stdout, /^<stdin>:1:\d+: error yaml-/);
  const empty = await credence(t, "check", "-");
  assert.deepEqual([empty.code, empty.stderr], [1, ""]);
  assert.match(empty.stdout, /^<stdin>:1:1: error file-unreadable\n {2}<stdin>: nothing came\n/);
});

test("a fleet's rules are checked with resources from standard input, which all groups have", async (t) => {
  const fleet = scratch(t, {
    "fleet.yaml":
      "groups: [{ name: a, match: { dns: a.example }, namespaces: all }, { name: b, match: { dns: b.example }, namespaces: all }]",
  });
  const { stdout } = await credenceReading(
    t,
    mapping("a", "/a/", "localhost:1"),
    ...["check", "-", "--fleet", join(fleet, "fleet.yaml")],
  );
  assert.equal(stdout.match(/1 route,/g)?.length, 2, stdout);
});

test("the others that read take it too; who follows changes does not", async (t) => {
  const yaml = mapping("a", "/a/", "localhost:1");
  const dump = await credenceReading(t, yaml, "dump", "-");
  assert.equal(JSON.parse(dump.stdout).model.routes.length, 1);
  const explained = await credenceReading(t, yaml, "explain", "GET", "http://localhost:8080/a/", "-");
  assert.equal(explained.code, 0, explained.stdout);
  assert.match(explained.stdout, /<stdin>:1/);
  const migrated = await credenceReading(t, `${yaml}  tls: true\n`, "migrate", "-");
  assert.match(migrated.stdout, /<stdin>:/);
  for (const verb of [["run"], ["certs", "watch"]]) {
    const { code, stdout, stderr } = await credenceReading(t, yaml, ...verb, "-");
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /^credence: - is standard input, whose changes cannot be followed: name files/);
  }
});

test("an error says where, shows the place, what it did and how to mend it; exit 1", async (t) => {
  const folder = scratch(t, { "a.yaml": `${mapping("a", "/a/", "localhost:1")}  tls: nobody\n` });
  const { code, stdout } = await credence(t, "check", folder);
  assert.equal(code, 1);
  const file = join(folder, "a.yaml");
  assert.ok(stdout.includes(`${file}:8:3: error tls-context-missing`), stdout);
  assert.match(stdout, /> 8 \| {3}tls: nobody/);
  assert.match(stdout, /did:/);
  assert.match(stdout, /mend:/);
  assert.ok(!stdout.includes("\x1b["), "no colours where nobody looks");
});

test("a warning alone exits 0", async (t) => {
  const folder = scratch(t, { "a.yaml": `${mapping("a", "/a/", "localhost:1")}  tmeout_ms: 3\n` });
  const { code, stdout } = await credence(t, "check", folder);
  assert.equal(code, 0);
  assert.match(stdout, /warning field-unknown/);
  assert.match(stdout, /timeout_ms/);
});

test("--strict: a warning alone exits 1, and nothing wrong still exits 0", async (t) => {
  const warned = scratch(t, { "a.yaml": `${mapping("a", "/a/", "localhost:1")}  tmeout_ms: 3\n` });
  const { code, stdout } = await credence(t, "check", warned, "--strict");
  assert.equal(code, 1);
  assert.match(stdout, /> 8 \| {3}tmeout_ms: 3/);
  assert.match(stdout, /0 errors, 1 warning \(--strict: warnings count as errors\)/);
  const json = await credence(t, "check", warned, "--strict", "--format", "json");
  assert.equal(json.code, 1);
  assert.deepEqual(JSON.parse(json.stdout).summary, { errors: 0, warnings: 1 });
  const good = scratch(t, { "a.yaml": mapping("a", "/a/", "localhost:1") });
  assert.equal((await credence(t, "check", good, "--strict")).code, 0);
});

test("what stands in a file steers no terminal, nor do bytes that are no text", async (t) => {
  const folder = scratch(t, {
    "a.yaml": mapping('"a\\e[2J"', "/a/", "localhost:1").replace("spec:", "spec:\n  odd: 1"),
  });
  const named = await credence(t, "check", folder);
  assert.equal(named.code, 0);
  assert.match(named.stdout, /field-unknown Mapping a\ufffd\[2J /);
  const latin1 = Buffer.from(mapping("b", "/caf\xe9/", "localhost:1"), "latin1");
  writeFileSync(join(folder, "b.yaml"), latin1);
  const { code, stdout } = await credence(t, "check", folder);
  assert.equal(code, 1);
  assert.match(stdout, /b\.yaml:6:15: error yaml-syntax\n {2}a byte that is not UTF-8/);
});

test("--format json is the stable shape, on standard output alone", async (t) => {
  const folder = scratch(t, { "a.yaml": `${mapping("a", "/a/", "localhost:1")}  tls: nobody\n  x: 1\n` });
  const { code, stdout, stderr } = await credence(t, "check", folder, "--format", "json");
  assert.deepEqual([code, stderr], [1, ""]);
  const report = JSON.parse(stdout);
  assert.deepEqual(Object.keys(report), ["version", "diagnostics", "summary"]);
  assert.deepEqual(report.summary, { errors: 1, warnings: 1 });
  const error = report.diagnostics.find(({ severity }: { severity: string }) => severity === "error");
  assert.deepEqual(error.subject, { kind: "Mapping", namespace: "default", name: "a" });
  assert.deepEqual(error.source, { file: join(folder, "a.yaml"), line: 8, column: 3 });
  for (const key of ["code", "effect", "message", "remedy"]) assert.equal(typeof error[key], "string");
});

test("certificates are checked as run would, and no key is printed", async (t) => {
  const authority = await createAuthority("test CA");
  const [one, other] = [
    await authority.issue({ commonName: "one" }),
    await authority.issue({ commonName: "other" }),
  ];
  const folder = scratch(t, {
    "a.yaml": `${mapping("a", "/a/", "localhost:1")}  tls: context\n${TLS}${secret(one.certificate, other.privateKey)}`,
  });
  for (const format of ["text", "json"]) {
    const { code, stdout, stderr } = await credence(t, "check", folder, "--format", format);
    assert.equal(code, 1);
    assert.match(stdout, /private-key-mismatch/);
    const encoded = Buffer.from(other.privateKey).toString("base64");
    assert.ok(!`${stdout}${stderr}`.includes(encoded.slice(0, 40)));
    assert.ok(!`${stdout}${stderr}`.includes(other.privateKey.split("\n")[1] as string));
  }
});

test("certificate files that a TLSContext names are read", async (t) => {
  const authority = await createAuthority("test CA");
  const { certificate, privateKey } = await authority.issue({
    commonName: "old",
    notBefore: new Date(Date.now() - 2 * 86_400_000),
    notAfter: new Date(Date.now() - 86_400_000),
  });
  const certificates = scratch(t, { "tls.crt": certificate, "tls.key": privateKey });
  const folder = scratch(t, {
    "a.yaml": `${mapping("a", "/a/", "localhost:1")}  tls: context
---
apiVersion: getambassador.io/v2
kind: TLSContext
metadata:
  name: context
spec:
  hosts: []
  cert_chain_file: ${join(certificates, "tls.crt")}
  private_key_file: ${join(certificates, "tls.key")}
`,
  });
  const { code, stdout } = await credence(t, "check", folder);
  assert.equal(code, 1);
  assert.match(stdout, /certificate-expired/);
});

test("AMBASSADOR_ID and --ambassador-id choose what is meant for this gateway", async (t) => {
  const folder = scratch(t, {
    "a.yaml": `${mapping("a", "/a/", "localhost:1")}  ambassador_id: [blue]\n  tls: nobody\n`,
  });
  assert.equal((await credence(t, "check", folder)).code, 0);
  assert.equal((await credence(t, "check", folder, "--ambassador-id", "blue")).code, 1);
  assert.equal((await new Credence(t, ["check", folder], { AMBASSADOR_ID: "blue" }).ended).code, 1);
});

test("variables of the environment without a value are ones that are not set", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", "localhost:1") });
  const environment = { AMBASSADOR_ID: "", AMBASSADOR_ISTIO_SECRET_DIR: "" };
  const { code, stdout } = await new Credence(t, ["check", folder], environment).ended;
  assert.deepEqual([code, stdout], [0, "1 route, 0 TLS hosts: 0 errors, 0 warnings\n"]);
});

test("--require-upstream-verification turns the warning into an error", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", "https://localhost:1") });
  const warned = await credence(t, "check", folder);
  assert.equal(warned.code, 0);
  assert.match(warned.stdout, /upstream-unverified/);
  const strict = await credence(t, "check", folder, "--require-upstream-verification");
  assert.equal(strict.code, 1);
  assert.match(strict.stdout, /upstream-verification-required/);
});

test("a file of a TLSContext that cannot be read, or used, is told of once, at its path, with what it costs", async (t) => {
  const contexts = (name: string, spec: string): string =>
    `---\napiVersion: getambassador.io/v2\nkind: TLSContext\nmetadata: {name: ${name}}\nspec:\n${spec}`;
  const folder = scratch(t, { "tls.crt": "no PEM", "tls.key": "no PEM" });
  const files = { cert_chain_file: "tls.crt", private_key_file: "none.key", cacert_chain_file: "none.crt" };
  const fields = Object.entries(files).map(([field, file]) => `  ${field}: ${join(folder, file)}\n`);
  const served = contexts("served", `  hosts: [a.example]\n${fields.join("")}`);
  writeFileSync(
    join(folder, "a.yaml"),
    served + contexts("dialled", fields.join("").replace("none.key", "tls.key")),
  );
  const { stdout } = await credence(t, "check", folder, "--format", "json");
  const { diagnostics } = JSON.parse(stdout) as {
    diagnostics: { code: string; effect: string; source: { line: number } }[];
  };
  assert.deepEqual(
    diagnostics.map(({ code, effect, source }) => `${source.line} ${code} ${effect}`),
    [
      "8 certificate-file-unreadable host-refused",
      "9 certificate-file-unreadable host-refused",
      "15 pem-invalid route-fails-closed",
      "17 certificate-file-unreadable route-fails-closed",
    ],
  );
});
