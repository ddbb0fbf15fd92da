import { mkdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FileTree } from "../../../src/sources/files/tree.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { folder, write } from "./folder.ts";
import { until } from "../../support/until.ts";

/** A tree that is watched, and how often it called back. */
async function watched(
  context: TestContext,
  root: string,
): Promise<{ tree: FileTree; changes: () => number }> {
  const tree = new FileTree([root]);
  let changes = 0;
  context.after(tree.watch(() => changes++, createLogger("silent")));
  await tree.list();
  return { tree, changes: () => changes };
}

const eventually = (isSo: () => boolean | Promise<boolean>, what: string): Promise<void> =>
  until(isSo, 8_000, what);

test("what was looked at as far as it changed is what a listing finds", async (context) => {
  const root = await folder(context, {});
  for (let i = 0; i < 20; i++) await write(root, `sub/file-${i}.yaml`, "");
  const { tree, changes } = await watched(context, root);
  const replace = async (name: string, text: string): Promise<void> => {
    await write(root, `${name}.tmp`, text);
    await rename(join(root, `${name}.tmp`), join(root, name));
  };
  const steps: readonly (readonly [what: string, step: () => Promise<unknown>])[] = [
    ["written over", () => write(root, "sub/file-3.yaml", "a: 1\n")],
    ["replaced", () => replace("sub/file-4.yaml", "a: 2\n")],
    ["replaced twice", () => replace("sub/file-4.yaml", "a: 33\n")],
    ["a new one", () => write(root, "sub/new.yaml", "")],
    ["gone", () => rm(join(root, "sub/file-5.yaml"))],
    [
      "a folder in place of a file",
      () => rm(join(root, "sub/file-6.yaml")).then(() => mkdir(join(root, "sub/file-6.yaml"))),
    ],
    ["a file in a new folder", () => write(root, "other/deep/a.yaml", "")],
    ["a file that is changed there", () => write(root, "other/deep/a.yaml", "b: 1\n")],
    ["a folder renamed", () => rename(join(root, "other"), join(root, "another"))],
    ["what is none of ours", () => write(root, "sub/notes.txt", "x")],
    [
      "a link in place of a file",
      () =>
        rm(join(root, "sub/file-7.yaml")).then(() => symlink("file-8.yaml", join(root, "sub/file-7.yaml"))),
    ],
    ["what the link leads to", () => write(root, "sub/file-8.yaml", "c: 1\n")],
    ["a folder gone", () => rm(join(root, "another"), { recursive: true })],
    ["the link gone", () => rm(join(root, "sub/file-7.yaml"))],
    ["written over again", () => write(root, "sub/file-3.yaml", "a: 4\n")],
  ];
  for (const [what, step] of steps) {
    const before = changes();
    await step();
    const expected = await new FileTree([root]).list();
    await eventually(() => changes() > before, `${what} is told`);
    await eventually(
      async () => JSON.stringify(await tree.look()) === JSON.stringify(expected),
      `${what} is seen`,
    );
  }
});
