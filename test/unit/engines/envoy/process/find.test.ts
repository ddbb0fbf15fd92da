import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EnvoyNotFound, findEnvoy, TESTED_VERSION } from "../../../../../src/engines/envoy/process/find.ts";

/** A program that says it is this version of Envoy. */
function pretender(t: TestContext, version: string): { folder: string; path: string } {
  const folder = mkdtempSync(join(tmpdir(), "credence-find-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "envoy");
  writeFileSync(path, `#!/bin/sh\necho "\n$0  version: 0abc/${version}/Clean/RELEASE/BoringSSL\n"\n`);
  chmodSync(path, 0o755);
  return { folder, path };
}

test("the flag wins over the variable, that over PATH, that over the installed one", async (t) => {
  const [a, b, c] = ["1.40.1", "1.40.2", "1.40.3"].map((version) => pretender(t, version));
  const environment = { PATH: `/nonexistent:${c?.folder}:/usr/bin:/bin`, CREDENCE_ENVOY: b?.path };
  assert.equal((await findEnvoy({ flag: a?.path, environment })).version, "1.40.1");
  assert.equal((await findEnvoy({ environment })).version, "1.40.2");
  assert.equal((await findEnvoy({ environment: { PATH: environment.PATH } })).version, "1.40.3");
  const installed = await findEnvoy({ environment: { PATH: "/nonexistent" } });
  assert.match(installed.path, /\.cache\/envoy\/envoy$/);
  assert.deepEqual([installed.version, installed.warning], [TESTED_VERSION, null]);
});

test("what is named and is no Envoy is refused, with what to do; no other one is taken", async (t) => {
  const { folder, path } = pretender(t, "1.40.0");
  for (const [flag, why] of [
    [join(folder, "none"), /--envoy names .*none, which does not exist\. Install Envoy/],
    [folder, /which is not a file/],
    ["/bin/true", /does not say a version/],
  ] as const)
    await assert.rejects(
      findEnvoy({ flag, environment: { PATH: folder } }),
      (error) => error instanceof EnvoyNotFound && why.test(error.message),
    );
  chmodSync(path, 0o644);
  await assert.rejects(
    findEnvoy({ environment: { CREDENCE_ENVOY: path } }),
    process.getuid?.() === 0 ? /cannot be run|may not be run/ : /may not be run/,
  );
});

test("another release is run, with a warning", async (t) => {
  const { path } = pretender(t, "1.31.2");
  const { warning } = await findEnvoy({ flag: path, environment: {} });
  assert.match(warning ?? "", /this is Envoy 1\.31\.2; Credence was tried on 1\.40/);
});
