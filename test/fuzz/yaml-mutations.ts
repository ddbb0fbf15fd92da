import { globSync, readFileSync } from "node:fs";
import fc from "../support/fast-check.ts";
import { parseAllDocuments } from "yaml";

/** A document as it will be written: maps are lists of entries, since a mutated one may have a key twice. */
export type Node =
  | { readonly map: readonly (readonly [key: string, value: Node])[] }
  | { readonly list: readonly Node[] }
  /** Written as it is: a scalar, an alias, or whatever else. */
  | { readonly raw: string }
  /** An anchor or a tag before a node. */
  | { readonly prefix: string; readonly node: Node };

/** Texts of the documents under examples/ and test/golden/cases. */
export const SEEDS: readonly string[] = [
  ...new Set(
    globSync(["examples/**/*.yaml", "test/golden/cases/*/input.*"])
      .sort()
      .flatMap((file) => readFileSync(file, "utf8").split(/^---.*\n/m))
      .filter((text) => text.trim() !== ""),
  ),
];

/** The same documents as trees, those that can be read. */
export const TREES: readonly Node[] = SEEDS.flatMap((text) =>
  parseAllDocuments(text, { logLevel: "silent" }).flatMap((document) =>
    document.errors.length > 0 ? [] : [treeOf(document.toJS() as unknown)],
  ),
);

const KEYS = [
  ...new Set(TREES.flatMap(keysOf)),
  ...[
    "",
    "null",
    "1",
    "__proto__",
    "constructor",
    "toString",
    "<<",
    "prefx",
    "hosts ",
    "a: b",
    "k".repeat(1100),
  ],
];

const SCALARS = [
  ...["null", "~", "", "true", "yes", "0", "-1", "1e400", ".nan", "-.inf", "0x1F", "99999999999999999999"],
  ...[
    '""',
    "' '",
    '"\\u0000"',
    '"\\ud800"',
    '"\\q"',
    "2001-01-01",
    "!!binary aGk=",
    "!!int x",
    "*nothing",
    "*a",
  ],
  ...[
    "[]",
    "{}",
    "[null]",
    "{a: b}",
    "|",
    ">-",
    "- a",
    "? b",
    "@x",
    "`",
    "%x",
    "a: b: c",
    "# gone",
    '"open',
    "[",
    "}",
  ],
  ...["x".repeat(5000), "é漢😀", "\u0007", "\u0085", "\uFEFF", "/".repeat(3000), "(a+)+$", "[".repeat(5000)],
  `[${"1,".repeat(3000)}]`,
];

const PREFIXES = [
  "&a",
  "&b",
  "!!str",
  "!!map",
  "!!seq",
  "!!set",
  "!!omap",
  "!local",
  "!<x>",
  "!e!x",
  "& ",
  "&a &a",
  "!",
];

const key = fc.constantFrom(...KEYS);
const scalar = fc.constantFrom(...SCALARS).map((raw): Node => ({ raw }));
const donor = fc.constantFrom(...TREES);

/** One change somewhere in a tree: which node is a number, taken modulo what there is. */
const change: fc.Arbitrary<(tree: Node) => Node> = fc.oneof(
  at(fc.constant((entries: Entries, i: number) => entries.filter((_, index) => index !== i))),
  at(fc.constant((entries: Entries, i: number) => [...entries, entries[i] as Entry])),
  at(key.map((name) => (entries: Entries, i: number) => withEntry(entries, i, ([, value]) => [name, value]))),
  at(
    fc
      .oneof(scalar, donor)
      .map((value) => (entries: Entries, i: number) => withEntry(entries, i, ([name]) => [name, value])),
  ),
  at(fc.tuple(key, scalar).map((entry) => (entries: Entries) => [...entries, entry as Entry])),
  at(
    fc
      .constantFrom(...PREFIXES)
      .map(
        (prefix) => (entries: Entries, i: number) =>
          withEntry(entries, i, ([name, node]) => [name, { prefix, node }]),
      ),
  ),
  at(
    fc.constant((entries: Entries, i: number) =>
      withEntry(entries, i, ([name, value]) => [name, { list: [value, value] }]),
    ),
  ),
  at(
    fc
      .nat(150)
      .map(
        (depth) => (entries: Entries, i: number) =>
          withEntry(entries, i, ([name, value]) => [name, nested(value, depth)]),
      ),
  ),
);

/** A document of the corpus with some changes to its structure, in block or flow style. */
export const changedTree: fc.Arbitrary<string> = fc
  .tuple(donor, fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([tree, changes, flow]) => {
    const changed = changes.reduce((node, apply) => apply(node), tree);
    return flow ? `${inFlow(changed)}\n` : inBlock(changed, 0);
  });

/** A document of the corpus whose text is cut, filled in, or joined with another's. */
export const changedText: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.nat(40),
        fc.oneof(
          fc.constantFrom(
            "",
            "\t",
            "\n",
            " ",
            "\0",
            "\u001b",
            "\r",
            "\uFEFF",
            "---\n",
            "\n...\n",
            "\n--- ",
            "&a ",
            "*a",
            "<<: *a\n",
          ),
          fc.constantFrom(
            ": ",
            "- ",
            "[",
            "{",
            "}",
            '"',
            "'",
            "|\n",
            "#",
            "%YAML 1.1\n",
            "\n%TAG ! x\n---\n",
            "!!str ",
          ),
          fc.string({ maxLength: 5, unit: "binary" }),
          fc.constantFrom(...SEEDS),
        ),
      ),
      { minLength: 1, maxLength: 4 },
    ),
    fc.option(fc.nat()),
  )
  .map(([seed, edits, cut]) => {
    let text = seed;
    for (const [place, length, inserted] of edits) {
      const start = place % (text.length + 1);
      text = text.slice(0, start) + inserted + text.slice(start + (inserted === "" ? length : 0));
    }
    return cut === null ? text : text.slice(0, cut % (text.length + 1));
  });

type Entry = readonly [string, Node];
type Entries = readonly Entry[];

function withEntry(entries: Entries, i: number, edit: (entry: Entry) => Entry): Entries {
  return entries.map((entry, index) => (index === i ? edit(entry) : entry));
}

/** Applies an edit to one entry of one map of the tree. */
function at(
  edit: fc.Arbitrary<(entries: Entries, i: number) => Entries>,
): fc.Arbitrary<(tree: Node) => Node> {
  return fc.tuple(fc.nat(1000), edit).map(([place, apply]) => (tree: Node) => {
    const count = entriesIn(tree);
    if (count === 0) return tree;
    let left = place % count;
    const visit = (node: Node): Node => {
      if ("list" in node) return { list: node.list.map(visit) };
      if ("prefix" in node) return { ...node, node: visit(node.node) };
      if (!("map" in node)) return node;
      const here = left;
      left -= node.map.length;
      if (here >= 0 && here < node.map.length) return { map: apply(node.map, here) };
      return { map: node.map.map(([name, value]) => [name, visit(value)] as const) };
    };
    return visit(tree);
  });
}

function entriesIn(node: Node): number {
  if ("list" in node) return node.list.reduce((sum, item) => sum + entriesIn(item), 0);
  if ("prefix" in node) return entriesIn(node.node);
  return "map" in node ? node.map.reduce((sum, [, value]) => sum + 1 + entriesIn(value), 0) : 0;
}

function nested(node: Node, depth: number): Node {
  let deep = node;
  for (let i = 0; i < depth; i++) deep = i % 2 === 0 ? { list: [deep] } : { map: [["a", deep]] };
  return deep;
}

function treeOf(value: unknown): Node {
  if (Array.isArray(value)) return { list: value.map(treeOf) };
  if (typeof value !== "object" || value === null) return { raw: JSON.stringify(value) };
  return { map: Object.entries(value).map(([name, item]) => [name, treeOf(item)] as const) };
}

function keysOf(node: Node): string[] {
  if ("list" in node) return node.list.flatMap(keysOf);
  return "map" in node ? node.map.flatMap(([name, value]) => [name, ...keysOf(value)]) : [];
}

function inFlow(node: Node): string {
  if ("raw" in node) return node.raw;
  if ("prefix" in node) return `${node.prefix} ${inFlow(node.node)}`;
  if ("list" in node) return `[${node.list.map(inFlow).join(", ")}]`;
  return `{${node.map.map(([name, value]) => `${keyText(name)}: ${inFlow(value)}`).join(",\n ")}}`;
}

function inBlock(node: Node, indent: number): string {
  const margin = " ".repeat(indent);
  if ("raw" in node) return `${margin}${node.raw}\n`;
  if ("prefix" in node) return `${margin}${node.prefix}\n${inBlock(node.node, indent)}`;
  if ("list" in node) return node.list.map((item) => `${margin}-\n${inBlock(item, indent + 2)}`).join("");
  return node.map
    .map(([name, value]) => `${margin}${keyText(name)}:\n${inBlock(value, indent + 2)}`)
    .join("");
}

function keyText(name: string): string {
  return /^[A-Za-z<~][\w.<-]*$/.test(name) ? name : JSON.stringify(name);
}
