import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { join, relative } from "node:path";
import { describe, test } from "node:test";
import { readRegularFile } from "../../../src/sources/files/regular-file.ts";
import { FileTree } from "../../../src/sources/files/tree.ts";
import { folder } from "./folder.ts";

/** What is listed below `root`, and what is said of the rest. */
async function listed(root: string, ...paths: string[]): Promise<{ files: string[]; problems: string[] }> {
  const { files, problems } = await new FileTree(paths.length > 0 ? paths : [root]).list();
  return {
    files: files.map(({ path }) => relative(root, path)),
    problems: problems.map(({ path, message }) => `${relative(root, path)}: ${message}`),
  };
}

describe("the files below a path", () => {
  test("are those of YAML and JSON, hidden ones apart; a path that is named may have any name", async (context) => {
    const root = await folder(context, {
      "a.yaml": "",
      "b/c.yml": "",
      "b/d.json": "",
      "notes.txt": "",
      ".hidden.yaml": "",
      "..data/e.yaml": "",
      "node_modules/f.yaml": "",
    });
    assert.deepEqual(await listed(root), { files: ["a.yaml", "b/c.yml", "b/d.json"], problems: [] });
    assert.deepEqual(await listed(root, join(root, "notes.txt")), { files: ["notes.txt"], problems: [] });
  });

  test("a folder is read once, however many links lead to it or back up from it", async (context) => {
    const root = await folder(context, { "real/a.yaml": "", "real/deep/b.yaml": "" });
    await symlink("..", join(root, "real/deep/up"));
    await symlink(root, join(root, "real/top"));
    await symlink("real", join(root, "zzz"));
    const expected = ["real/a.yaml", "real/deep/b.yaml"];
    assert.deepEqual(await listed(root), { files: expected, problems: [] });
    assert.deepEqual(await listed(root, root, join(root, "real")), { files: expected, problems: [] });
    await symlink("real", join(root, "aaa"));
    assert.deepEqual((await listed(root)).files, ["aaa/a.yaml", "aaa/deep/b.yaml"]);
  });

  test("links between folders do not multiply", async (context) => {
    const root = await folder(context, { "n0/a.yaml": "" });
    for (let i = 1; i <= 30; i++) {
      await mkdir(join(root, `n${i}`));
      for (const name of ["x", "y"]) await symlink(`../n${i - 1}`, join(root, `n${i}/${name}`));
    }
    assert.deepEqual(await listed(root), { files: ["n0/a.yaml"], problems: [] });
  });

  test("a link to a file is read; one that leads nowhere or in a circle is reported", async (context) => {
    const root = await folder(context, { "..data/a.yaml": "" });
    await symlink("..data/a.yaml", join(root, "a.yaml"));
    await symlink("gone.yaml", join(root, "b.yaml"));
    await symlink("c", join(root, "c"));
    await symlink("gone", join(root, "mounted"));
    await symlink("gone.png", join(root, "picture.png"));
    assert.deepEqual(await listed(root), {
      files: ["a.yaml"],
      problems: ["b.yaml: ENOENT", "c: ELOOP", "mounted: ENOENT"],
    });
  });

  test("what is no regular file is reported and never opened", async (context) => {
    const root = await folder(context, { "a.yaml": "", "b.yaml/c.yaml": "" });
    execFileSync("mkfifo", [join(root, "fifo.yaml"), join(root, "fifo")]);
    const server = createServer().listen(join(root, "socket.json"));
    await once(server, "listening");
    context.after(() => server.close());
    await symlink("/dev/zero", join(root, "zero.yml"));
    assert.deepEqual(await listed(root), {
      files: ["a.yaml", "b.yaml/c.yaml"],
      problems: [
        "fifo.yaml: a FIFO, no regular file",
        "socket.json: a socket, no regular file",
        "zero.yml: a device, no regular file",
      ],
    });
    assert.deepEqual((await listed(root, join(root, "fifo"), "/dev/zero")).problems.length, 2);
  });

  test("a folder that cannot be read is reported, and so is a path that is not there", async (context) => {
    const root = await folder(context, { "a.yaml": "", "closed/b.yaml": "", "later/c.yaml": "" });
    await chmod(root, 0o755);
    await chmod(join(root, "closed"), 0o000);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    const found = await listed(root).finally(() => isRoot && process.seteuid?.(0));
    await chmod(join(root, "closed"), 0o755);
    assert.deepEqual(found, { files: ["a.yaml", "later/c.yaml"], problems: ["closed: EACCES"] });
    await rm(join(root, "later"), { recursive: true });
    assert.deepEqual(await listed(root, join(root, "later")), { files: [], problems: ["later: ENOENT"] });
  });
});

describe("reading one file", () => {
  test("gives its text, up to the limit", async (context) => {
    const root = await folder(context, { "a.pem": "é".repeat(50_000) });
    assert.deepEqual(await readRegularFile(join(root, "a.pem"), 100_000), {
      ok: true,
      text: "é".repeat(50_000),
    });
    assert.deepEqual(await readRegularFile(join(root, "a.pem"), 99_999), {
      ok: false,
      reason: "larger than 99999 bytes",
    });
  });

  test("never waits, and says why it gives nothing", async (context) => {
    const root = await folder(context, {});
    execFileSync("mkfifo", [join(root, "fifo")]);
    const reason = async (path: string): Promise<string> => {
      const reading = await readRegularFile(path, 1000);
      return reading.ok ? "" : reading.reason;
    };
    assert.equal(await reason(join(root, "fifo")), "a FIFO, no regular file");
    assert.equal(await reason("/dev/zero"), "a device, no regular file");
    assert.equal(await reason(root), "a folder, no regular file");
    assert.equal(await reason(join(root, "gone")), "ENOENT");
    assert.equal(await reason("a\0b"), "ERR_INVALID_ARG_VALUE");
  });
});
