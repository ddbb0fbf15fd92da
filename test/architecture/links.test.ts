import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PAGES = [
  "*.md",
  "docs/**/*.md",
  "examples/**/*.md",
  "bench/*.md",
  "deploy/**/*.md",
  "test/**/*.md",
].flatMap((pattern) => globSync(pattern, { cwd: ROOT }).filter((path) => !path.includes("node_modules")));

test("every relative link in a page leads to a file, and to a heading that is there", () => {
  const broken = PAGES.flatMap((page) =>
    linksOf(proseOf(read(page)))
      .filter((link) => !leadsSomewhere(page, link))
      .map((link) => `${page}: ${link}`),
  );
  assert.deepEqual(broken, []);
  assert.ok(PAGES.length > 15);
});

test("every file that ARCHITECTURE.md names is there, and every folder of src is named", () => {
  const page = read("ARCHITECTURE.md");
  const files = ["src", "test", "docs", "scripts"].flatMap((folder) =>
    globSync(`${folder}/**/*`, { cwd: ROOT, exclude: (path) => /generated$/.test(path) }),
  );
  const named = [...proseOf(page, false).matchAll(/`([\w./-]+\.(?:ts|md|json))`/g)].map(
    ([, name]) => name as string,
  );
  const gone = named.filter(
    (name) => !existsSync(join(ROOT, name)) && !files.some((file) => file.endsWith(`/${name}`)),
  );
  assert.deepEqual(gone, []);
  const folders = globSync("src/*", { cwd: ROOT }).filter((path) => statSync(join(ROOT, path)).isDirectory());
  const untold = folders
    .map((path) => path.replace("src/", ""))
    .filter((name) => !new RegExp(`\\| \`${name}[/\`]`).test(page));
  assert.deepEqual(untold, []);
});

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Without what is code: brackets there are no links. */
function proseOf(text: string, withoutSpans = true): string {
  const prose = text.replace(/^```[\s\S]*?^```/gm, "");
  return withoutSpans ? prose.replace(/`[^`\n]*`/g, "code") : prose;
}

function linksOf(prose: string): string[] {
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link as string)
    .filter((link) => !/^[a-z]+:/.test(link));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = "", heading] = link.split("#");
  const target = path === "" ? page : normalize(join(dirname(page), path));
  if (!existsSync(join(ROOT, target))) return false;
  return heading === undefined || (target.endsWith(".md") && headingsOf(read(target)).has(heading));
}

/** As GitHub names them: of headings that are alike the later ones have a number. */
function headingsOf(text: string): Set<string> {
  const counts = new Map<string, number>();
  const names = [...proseOf(text, false).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => {
    const name = (heading as string)
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-");
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return count === 0 ? name : `${name}-${count}`;
  });
  return new Set(names);
}
