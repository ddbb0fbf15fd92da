import assert from "node:assert/strict";
import { mkdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FolderWatches } from "../../../src/sources/files/folder-watches.ts";
import { folder, write } from "./folder.ts";

async function setUp(context: TestContext) {
  const root = await folder(context, { "certs/a.crt": "one", "certs/b.crt": "one" });
  const told = new Set<string>();
  const watches = new FolderWatches(
    (path) => told.add(path),
    (of) => told.add(`all of ${of}`),
  );
  context.after(() => watches.stop());
  const certs = join(root, "certs");
  watches.follow([join(certs, "a.crt"), join(certs, "b.crt")]);
  /** Repeats what changes a file until that is told: a watch may begin somewhat later. */
  const isTold = async (what: string, change: () => Promise<unknown>): Promise<boolean> => {
    told.clear();
    for (let tries = 0; tries < 200 && !told.has(what); tries++) {
      await change();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return told.has(what);
  };
  return { root, certs, watches, told, isTold };
}

test("a file that changes is named, and a folder whose files are replaced by a link as Kubernetes does it", async (context) => {
  const { root, certs, isTold, told } = await setUp(context);
  assert.ok(await isTold(join(certs, "a.crt"), () => write(root, "certs/a.crt", "two")));
  assert.ok(!told.has(join(certs, "b.crt")));
  const swap = async (): Promise<void> => {
    await symlink("data", join(certs, "..next"));
    await rename(join(certs, "..next"), join(certs, "..data"));
  };
  assert.ok(await isTold(`all of ${certs}`, swap));
});

test("a folder that took another's place is told of once it is looked at anew", async (context) => {
  const { root, certs, watches, isTold } = await setUp(context);
  assert.ok(watches.areComplete);
  await rename(certs, join(root, "old"));
  await mkdir(certs);
  watches.renew(join(certs, "a.crt"));
  assert.ok(await isTold(join(certs, "a.crt"), () => write(root, "certs/a.crt", "three")));
});

test("a folder that is not there is no folder of which everything is told", async (context) => {
  const { root, certs, watches } = await setUp(context);
  watches.follow([join(certs, "a.crt"), join(root, "none", "c.crt")]);
  assert.ok(!watches.areComplete);
  watches.follow([join(certs, "a.crt")]);
  assert.ok(watches.areComplete);
});
