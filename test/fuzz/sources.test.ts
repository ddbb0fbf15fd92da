import assert from "node:assert/strict";
import { rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { mappingYaml, secretYaml } from "../support/certificates.ts";
import { folder, write } from "../unit/sources/folder.ts";
import { Offers, sourceOf } from "../unit/sources/offers.ts";

const objects = fc.oneof(
  fc
    .tuple(fc.constantFrom("one", "two", "three"), fc.constantFrom("key", "other"))
    .map(([name, privateKey]) => secretYaml(name, { certificate: "chain", privateKey })),
  fc
    .tuple(fc.constantFrom("m", "n"), fc.constantFrom("/a/", "/b/"))
    .map(([name, prefix]) => mappingYaml(name, { prefix, service: "a" })),
  fc.constant("apiVersion: getambassador.io/v2\nkind: Maping\nmetadata: { name: x }\n"),
);
/** Null: the file is taken away. A name is a file's or a folder's. */
const change = fc.record({
  path: fc.constantFrom("a.yaml", "b.yaml", "c.yaml", "d.yaml/e.yaml", "a.yaml/f.yaml"),
  text: fc.option(fc.array(objects, { maxLength: 3 }).map((all) => all.join("---\n"))),
  isReplaced: fc.boolean(),
});

test("a source that has followed changes says what one says that reads the files for the first time", async (context) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 5 }),
      async (rounds) => {
        const root = await folder(context, {});
        const offers = new Offers();
        const source = sourceOf(root, offers);
        await source.load();
        for (const changes of rounds) {
          for (const each of changes) await make(root, each);
          const fresh = new Offers();
          const [followed, read] = [await source.load(), await sourceOf(root, fresh).load()];
          assert.deepEqual(plain(followed.resources), plain(read.resources));
          assert.deepEqual(said(followed.diagnostics), said(read.diagnostics));
          assert.equal(followed.complete, read.complete);
          assert.deepEqual([...offers.held].sort(byName), [...fresh.held].sort(byName));
        }
      },
    ),
    { numRuns: 15 },
  );
});

async function make(
  root: string,
  { path, text, isReplaced }: { path: string; text: string | null; isReplaced: boolean },
): Promise<void> {
  const [top = ""] = path.split("/");
  const file = join(root, path);
  const before = await stat(file).catch(() => null);
  // What is in the way: a folder where a file is to be, or a file where a folder is.
  if (text === null || before?.isFile() !== true) await rm(join(root, top), { recursive: true, force: true });
  if (text === null) return;
  await write(root, isReplaced ? `${path}.new` : path, text);
  if (isReplaced) await rename(`${file}.new`, file);
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function said(diagnostics: readonly object[]): string[] {
  return diagnostics.map((found) => JSON.stringify(found)).sort();
}

function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}
