import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, open, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { secretYaml } from "../../support/certificates.ts";
import { folder } from "./folder.ts";
import { Offers, sourceOf } from "./offers.ts";
import { until } from "../../support/until.ts";

/** A Secret of which only the text tells: nothing is checked here. */
const secret = (name: string, value: string): string =>
  secretYaml(name, { certificate: value, privateKey: value });

/** A folder whose Secrets are followed by its watch, as `run` does. */
async function follow(context: TestContext, make: (root: string) => Promise<void>) {
  const root = await folder(context, {});
  await make(root);
  const offers = new Offers();
  const source = sourceOf(root, offers);
  let turn = source.load();
  const load = (): void => {
    turn = turn.then(() => source.load());
  };
  await turn;
  context.after(source.watch(load));
  const value = (name: string): string | undefined =>
    offers.held.get(`secret/default/${name}`)?.material.certificateChain;
  return { root, offers, value };
}

const eventually = (isSo: () => boolean): Promise<void> => until(isSo, 15_000);

test("Secrets of a mounted volume: all of a swap of ..data is seen, and none is gone meanwhile", async (context) => {
  let version = 0;
  const publish = async (root: string): Promise<void> => {
    const data = `..v${++version}`;
    await mkdir(join(root, data));
    for (const name of ["a", "b"])
      await writeFile(join(root, data, `${name}.yaml`), secret(name, `${name}${version}`));
    await symlink(data, join(root, "..data_tmp"));
    await rename(join(root, "..data_tmp"), join(root, "..data"));
    await rm(join(root, `..v${version - 1}`), { recursive: true, force: true });
  };
  const { root, offers, value } = await follow(context, async (root) => {
    await publish(root);
    for (const name of ["a", "b"]) await symlink(join("..data", `${name}.yaml`), join(root, `${name}.yaml`));
  });
  for (let round = 0; round < 5; round++) {
    await publish(root);
    await eventually(() => value("a") === `a${version}` && value("b") === `b${version}`);
  }
  assert.deepEqual(
    offers.told.filter((told) => told.startsWith("remove")),
    [],
  );
});

test("a file that is overwritten in place, slowly, to the same size: never half of it, never nothing", async (context) => {
  const { root, offers, value } = await follow(context, (root) =>
    writeFile(join(root, "a.yaml"), secret("a", "first") + secret("b", "first")),
  );
  const text = secret("a", "newer") + secret("b", "newer");
  const file = await open(join(root, "a.yaml"), "r+");
  // As `cat > file` does: nothing is there, then a half, then all.
  await file.truncate(0);
  await new Promise((resolve) => setTimeout(resolve, 40));
  await file.write(text.slice(0, 100));
  await new Promise((resolve) => setTimeout(resolve, 40));
  await file.write(text.slice(100));
  await file.close();
  await eventually(() => value("a") === "newer" && value("b") === "newer");
  assert.deepEqual(
    offers.told.filter((told) => told.startsWith("remove")),
    [],
  );
});

test("a file that is deleted and made again, and one that is a FIFO or a folder in between", async (context) => {
  const { root, value } = await follow(context, (root) =>
    writeFile(join(root, "a.yaml"), secret("a", "first")),
  );
  const path = join(root, "a.yaml");
  await rm(path);
  await eventually(() => value("a") === undefined);
  await writeFile(path, secret("a", "second"));
  await eventually(() => value("a") === "second");
  for (const [round, make] of [() => void execFileSync("mkfifo", [path]), () => mkdir(path)].entries()) {
    await rm(path, { recursive: true });
    await make();
    // Others are read, though nobody writes to it.
    await writeFile(join(root, "b.yaml"), secret("b", `${round}`));
    await eventually(() => value("b") === `${round}`);
    await rm(path, { recursive: true });
    await writeFile(path, secret("a", `after ${round}`));
    await eventually(() => value("a") === `after ${round}`);
  }
});

test("of 1,000 files with Secrets those that change are offered again, and no other", async (context) => {
  const { root, offers, value } = await follow(context, async (root) => {
    for (let index = 0; index < 1000; index++)
      await writeFile(join(root, `${index}.yaml`), secret(`s${index}`, "first"));
  });
  assert.equal(offers.held.size, 1000);
  offers.told.length = 0;
  const changed = [0, 499, 999];
  for (const index of changed) await writeFile(join(root, `${index}.yaml`), secret(`s${index}`, "second"));
  await eventually(() => changed.every((index) => value(`s${index}`) === "second"));
  assert.deepEqual(
    [...new Set(offers.told)].sort(),
    changed.map((index) => `offer secret/default/s${index}`),
  );
});
