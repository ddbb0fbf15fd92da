import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

/** A folder for one test with these files, which is gone after it. */
export async function folder(context: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "credence-sources-")));
  context.after(() => rm(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await write(root, name, text);
  return root;
}

/** Writes a file below the folder, and whatever folders it needs. */
export async function write(root: string, name: string, text: string | Buffer): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true });
  await writeFile(join(root, name), text);
}
