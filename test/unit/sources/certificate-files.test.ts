import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CredentialStore } from "../../../src/credentials/store.ts";
import type { Diagnostic } from "../../../src/diagnostics/diagnostic.ts";
import { CertificateFiles, type CertificateFileSet } from "../../../src/sources/files/certificate-files.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { certificates, mappingYaml, tlsContextYaml } from "../../support/certificates.ts";
import { startGateway } from "../../support/gateway.ts";
import { startUpstream } from "../../support/upstream.ts";
import { folder, write } from "./folder.ts";

const NAME = "files/default/ctx";

/** A folder with a good pair and CA, followed as a TLSContext would have it. */
async function setUp(context: TestContext): Promise<{
  root: string;
  store: CredentialStore;
  files: CertificateFiles;
  set: CertificateFileSet;
}> {
  const { client, ca } = await certificates();
  const root = await folder(context, {
    "tls.crt": client.certificate,
    "tls.key": client.privateKey,
    "ca.crt": ca.certificate,
  });
  const store = new CredentialStore(systemClock);
  const files = new CertificateFiles(store);
  context.after(() => {
    files.stop();
    store.close();
  });
  const at = (line: number) => ({ file: "ctx.yaml", line, column: 3 });
  const set = {
    name: NAME,
    certificateChain: join(root, "tls.crt"),
    privateKey: join(root, "tls.key"),
    trustAnchors: join(root, "ca.crt"),
    places: { certificateChain: at(7), privateKey: at(8), trustAnchors: at(9) },
    origin: { subject: { kind: "TLSContext", namespace: "default", name: "ctx" }, source: at(7) },
  };
  return { root, store, files, set };
}

const brief = (found: readonly Diagnostic[]): string[] =>
  found.map(({ code, effect, source }) => `${code} ${effect} ${source?.line}`);

async function eventually(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 25));
  assert.ok(condition());
}

test("good files are published, and withdrawn when nothing names them", async (context) => {
  const { store, files, set } = await setUp(context);
  await files.follow([set]);
  assert.equal(store.credential(NAME)?.generation, 1);
  assert.equal(store.trust(NAME)?.anchors.length, 1);
  assert.deepEqual(store.diagnostics(), []);
  await files.follow([]);
  assert.equal(store.credential(NAME), undefined);
});

for (const [part, file, line] of [
  ["certificateChain", "tls.crt", 7],
  ["privateKey", "tls.key", 8],
  ["trustAnchors", "ca.crt", 9],
] as const) {
  test(`a ${file} that is not there is said with its path and errno, where it is named`, async (context) => {
    const { root, store, files, set } = await setUp(context);
    await rm(join(root, file));
    await files.follow([set]);
    assert.deepEqual(brief(store.diagnostics()), [`certificate-file-unreadable route-fails-closed ${line}`]);
    assert.match(store.diagnostics()[0]?.message ?? "", new RegExp(`^${set[part]} cannot be read: ENOENT$`));
    const status = part === "trustAnchors" ? store.statuses.trust(NAME) : store.statuses.credential(NAME);
    assert.deepEqual(status, {
      usable: false,
      code: "certificate-file-unreadable",
      reason: `${set[part]} cannot be read: ENOENT`,
    });
    assert.equal(store.hasTrustAnchors(NAME), true, "a CA that cannot be read is not a CA that is not given");
    assert.equal(store.credential(NAME) === undefined, part !== "trustAnchors");
  });
}

test("a FIFO, a device, a folder and what is too large are never read", async (context) => {
  const { root, store, files, set } = await setUp(context);
  execFileSync("mkfifo", [join(root, "fifo")]);
  await write(root, "large", "x".repeat(1024 * 1024 + 1));
  for (const [path, reason] of [
    [join(root, "fifo"), "a FIFO, no regular file"],
    ["/dev/zero", "a device, no regular file"],
    [root, "a folder, no regular file"],
    [join(root, "large"), "larger than 1048576 bytes"],
  ] as const) {
    await files.follow([{ ...set, privateKey: path }]);
    assert.equal(store.diagnostics()[0]?.message, `${path} cannot be read: ${reason}`);
  }
});

test("what was good stays while its file cannot be read, and what follows it takes over", async (context) => {
  const { root, store, files, set } = await setUp(context);
  const { ca } = await certificates();
  await files.follow([set]);
  await rm(join(root, "tls.crt"));
  await eventually(() => store.diagnostics().length > 0);
  assert.equal(store.credential(NAME)?.generation, 1);
  assert.deepEqual(brief(store.diagnostics()), [
    "certificate-file-unreadable kept-previous 7",
    "credential-kept-previous kept-previous 7",
  ]);
  const next = await ca.issue({ commonName: "gateway", usage: "client" });
  await write(root, "tls.crt", next.certificate);
  await write(root, "tls.key", next.privateKey);
  await eventually(() => store.credential(NAME)?.generation === 2);
  assert.deepEqual(store.diagnostics(), []);
});

test("what other paths held is not the previous one of these", async (context) => {
  const { root, store, files, set } = await setUp(context);
  await files.follow([set]);
  await files.follow([{ ...set, certificateChain: join(root, "other.crt") }]);
  assert.equal(store.credential(NAME), undefined);
  await files.follow([set]);
  assert.notEqual(store.credential(NAME), undefined);
});

test("a finding moves along with the line that names the file", async (context) => {
  const { root, store, files, set } = await setUp(context);
  await rm(join(root, "tls.key"));
  await files.follow([set]);
  const privateKey = { file: "ctx.yaml", line: 20, column: 3 };
  await files.follow([{ ...set, places: { ...set.places, privateKey } }]);
  assert.deepEqual(store.diagnostics()[0]?.source, privateKey);
});

test("a route whose certificate file is missing answers 503, every other one is served", async (context) => {
  const { root, set } = await setUp(context);
  const upstream = await startUpstream("mtls");
  context.after(() => upstream.close());
  const service = `localhost:${upstream.port}`;
  const names = (key: string) => ({
    hosts: [],
    cert_chain_file: set.certificateChain,
    private_key_file: join(root, key),
    cacert_chain_file: set.trustAnchors,
  });
  const gateway = await startGateway({
    "a.yaml":
      mappingYaml("bad", { prefix: "/bad/", service, tls: "bad" }) +
      tlsContextYaml("bad", names("gone.key")) +
      mappingYaml("good", { prefix: "/good/", service, tls: "good" }) +
      tlsContextYaml("good", names("tls.key")),
  });
  context.after(() => gateway.stop());
  const status = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${gateway.httpPort}${path}`)).status;
  assert.equal(await status("/bad/"), 503);
  assert.equal(await status("/good/"), 200);
  const codes = (await gateway.diag()).diagnostics.map(({ code }) => code);
  assert.ok(codes.includes("certificate-file-unreadable"));
  assert.ok(!codes.includes("secret-key-missing"));
});

test("an OCSP response is read byte by byte, followed, and named where it cannot be read", async (context) => {
  const { root, store, files, set } = await setUp(context);
  const path = join(root, "tls.ocsp");
  const { origin, places } = set;
  const binary = Buffer.from([0x30, 0x80, 0xff, 0x00, 0xc3, 0x28]);
  const seen: (string | undefined)[] = [];
  const followed = new CertificateFiles({
    offer: (name, material, origin) => {
      seen.push(material.ocspStaple);
      store.offer(name, material, origin);
    },
    remove: (name) => store.remove(name),
  });
  context.after(() => followed.stop());
  await followed.follow([{ name: "files/default/staple", ocspStaple: path, origin, places }]);
  assert.deepEqual(seen, [""]);
  assert.deepEqual(brief(store.diagnostics()), ["certificate-file-unreadable informational 7"]);
  await write(root, "tls.ocsp", binary);
  await eventually(() => seen.length === 2);
  assert.equal(seen[1], binary.toString("base64"));
  assert.deepEqual(brief(store.diagnostics()), ["ocsp-staple-invalid informational 7"]);
  assert.ok(store.diagnostics()[0]?.message.endsWith(`(${path})`));
  files.stop();
});
