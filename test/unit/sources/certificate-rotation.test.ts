import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { open, mkdir, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { CertificateFiles, type CertificateFileSet } from "../../../src/sources/files/certificate-files.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";
import { certificates } from "../../support/certificates.ts";
import { folder } from "./folder.ts";
import { until } from "../../support/until.ts";

const NAME = "files/default/ctx";

interface Followed {
  readonly root: string;
  readonly store: CredentialStore;
  readonly files: CertificateFiles;
  /** Serial number of the certificate in use. */
  serial(): string | undefined;
  codes(): string[];
  /** Each code that was ever said. */
  readonly said: Set<string>;
}

async function issue(): Promise<IssuedCertificate & { serial: string }> {
  const { ca } = await certificates();
  const issued = await ca.issue({ commonName: "gateway", usage: "client" });
  const store = new CredentialStore(systemClock);
  store.offer("x", { certificateChain: issued.certificate, privateKey: issued.privateKey }, ORIGIN);
  const serial = store.credential("x")?.facts[0]?.serial as string;
  store.close();
  return { ...issued, serial };
}

const ORIGIN = { subject: { kind: "TLSContext", namespace: "default", name: "ctx" } };

function setOf(name: string, crt: string, key: string): CertificateFileSet {
  return { name, certificateChain: crt, privateKey: key, places: {}, origin: ORIGIN };
}

/** `tls.crt` and `tls.key` of a folder that `make` has filled, once they are in use. */
async function follow(context: TestContext, make: (root: string) => Promise<void>): Promise<Followed> {
  const root = await folder(context, {});
  await make(root);
  const store = new CredentialStore(systemClock);
  const files = new CertificateFiles(store);
  context.after(() => {
    files.stop();
    store.close();
  });
  const said = new Set<string>();
  const codes = (): string[] => store.diagnostics().map(({ code }) => code);
  store.onFindings(() => {
    for (const code of codes()) said.add(code);
  });
  await files.follow([setOf(NAME, join(root, "tls.crt"), join(root, "tls.key"))]);
  return { root, store, files, codes, said, serial: () => store.credential(NAME)?.facts[0]?.serial };
}

const eventually = (isSo: () => boolean): Promise<void> => until(isSo, 15_000);

const writePair =
  ({ certificate, privateKey }: IssuedCertificate) =>
  async (root: string): Promise<void> => {
    await writeFile(join(root, "tls.crt"), certificate);
    await writeFile(join(root, "tls.key"), privateKey);
  };

test("a key that comes long before its certificate: the pair in use stays, and is said, until both are there", async (context) => {
  const [first, second] = [await issue(), await issue()];
  const { root, serial, codes, store } = await follow(context, writePair(first));
  await writeFile(join(root, "tls.key"), second.privateKey);
  await eventually(() => codes().includes("private-key-mismatch"));
  assert.deepEqual(codes(), ["private-key-mismatch", "credential-kept-previous"]);
  assert.equal(serial(), first.serial);
  await writeFile(join(root, "tls.crt"), second.certificate);
  await eventually(() => serial() === second.serial);
  assert.deepEqual(codes(), []);
  assert.equal(store.credential(NAME)?.generation, 2, "nothing was published in between");
});

test("a key and certificate of one change are never taken for a mismatch, however they are swapped by a link", async (context) => {
  // As the kubelet writes a Secret's volume: `..data` leads to a folder, and is replaced by rename.
  let version = 0;
  const publish = async (root: string, { certificate, privateKey }: IssuedCertificate): Promise<void> => {
    const data = `..v${++version}`;
    await mkdir(join(root, data));
    await writePair({ certificate, privateKey })(join(root, data));
    await symlink(data, join(root, "..data_tmp"));
    await rename(join(root, "..data_tmp"), join(root, "..data"));
    await rm(join(root, `..v${version - 1}`), { recursive: true, force: true });
  };
  const { root, serial, said } = await follow(context, async (root) => {
    await publish(root, await issue());
    for (const file of ["tls.crt", "tls.key"]) await symlink(join("..data", file), join(root, file));
  });
  for (let round = 0; round < 6; round++) {
    const next = await issue();
    await publish(root, next);
    await eventually(() => serial() === next.serial);
  }
  assert.deepEqual([...said], []);
});

test("files overwritten in place, to the same size and with their old times, are seen", async (context) => {
  const first = await issue();
  const { root, serial } = await follow(context, writePair(first));
  for (let round = 0; round < 3; round++) {
    const next = await issue();
    for (const [name, text] of [
      ["tls.key", next.privateKey],
      // Comments are allowed around a block: sizes are the same, whatever the certificates are.
      ["tls.crt", next.certificate.padEnd(3000, "\n")],
    ] as const) {
      const file = await open(join(root, name), "r+");
      await file.truncate(0);
      await file.write(text);
      await file.close();
      await utimes(join(root, name), new Date(0), new Date(0));
    }
    await eventually(() => serial() === next.serial);
  }
});

test("a change right after another, within one tick of the file system's clock, is seen", async (context) => {
  const { root, serial } = await follow(context, writePair(await issue()));
  for (let round = 0; round < 4; round++) {
    const [passing, lasting] = [await issue(), await issue()];
    await writePair(passing)(root);
    await eventually(() => serial() === passing.serial);
    await writePair(lasting)(root);
    await eventually(() => serial() === lasting.serial);
  }
});

test("files, and their folder, that are deleted and made again", async (context) => {
  const first = await issue();
  const { root, serial, codes } = await follow(context, writePair(first));
  await rm(root, { recursive: true });
  await eventually(() => codes().includes("certificate-file-unreadable"));
  assert.equal(serial(), first.serial, "the last good pair stays in use");
  const second = await issue();
  await mkdir(root);
  await writePair(second)(root);
  await eventually(() => serial() === second.serial);
  assert.deepEqual(codes(), []);
});

for (const [what, make] of [
  ["a FIFO that nobody writes to", async (path: string) => void execFileSync("mkfifo", [path])],
  ["a folder", async (path: string) => void (await mkdir(path))],
  ["a link to itself", (path: string) => symlink(path, path)],
] as const) {
  test(`${what} in the place of a key neither hangs nor hurts, and what follows it is used`, async (context) => {
    const [first, second] = [await issue(), await issue()];
    const { root, files, store, serial, codes } = await follow(context, writePair(first));
    await rm(join(root, "tls.key"));
    await make(join(root, "tls.key"));
    await eventually(() => codes().includes("certificate-file-unreadable"));
    assert.equal(serial(), first.serial);
    // Others are followed all the same.
    await writeFile(join(root, "tls.crt"), second.certificate);
    await writeFile(join(root, "other.key"), second.privateKey);
    const own = setOf(NAME, join(root, "tls.crt"), join(root, "tls.key"));
    await files.follow([own, setOf("files/default/other", join(root, "tls.crt"), join(root, "other.key"))]);
    assert.equal(store.credential("files/default/other")?.facts[0]?.serial, second.serial);
    await rm(join(root, "tls.key"), { recursive: true });
    await writeFile(join(root, "tls.key"), second.privateKey);
    await eventually(() => serial() === second.serial);
  });
}

test("1,000 pairs are followed: those that change are seen, the others stay as they are", async (context) => {
  const [first, second] = [await issue(), await issue()];
  const root = await folder(context, {});
  const store = new CredentialStore(systemClock);
  const files = new CertificateFiles(store);
  context.after(() => {
    files.stop();
    store.close();
  });
  const sets: CertificateFileSet[] = [];
  for (let index = 0; index < 1000; index++) {
    const [crt, key] = [join(root, `${index}.crt`), join(root, `${index}.key`)];
    await Promise.all([writeFile(crt, first.certificate), writeFile(key, first.privateKey)]);
    sets.push(setOf(`files/default/${index}`, crt, key));
  }
  await files.follow(sets);
  const changed = [0, 499, 999];
  for (const index of changed) {
    await writeFile(join(root, `${index}.crt`), second.certificate);
    await writeFile(join(root, `${index}.key`), second.privateKey);
  }
  const generation = (index: number): number | undefined =>
    store.credential(`files/default/${index}`)?.generation;
  await eventually(() => changed.every((index) => generation(index) === 2));
  for (let index = 0; index < 1000; index++)
    assert.equal(generation(index), changed.includes(index) ? 2 : 1, String(index));
  assert.deepEqual(store.diagnostics(), []);
});
