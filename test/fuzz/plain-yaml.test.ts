import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { readPlain } from "../../src/sources/files/plain-yaml.ts";
import { composeDocument } from "../../src/sources/files/yaml-document.ts";
import { readValue } from "../../src/sources/files/yaml-value.ts";
import { changedText, SEEDS } from "./yaml-mutations.ts";

/** Each property runs so often, or for so long, whichever ends first. */
const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 20_000);
const LIMIT_MS = Number(process.env.CREDENCE_FUZZ_MS ?? 5000);

/** Whatever is read as plain means the same to who reads all of YAML. Tells whether it is. */
function agrees(text: string): boolean {
  const plain = readPlain(text);
  if (plain === null) return false;
  const composed = composeDocument(text);
  assert.ok(composed !== null && !("code" in composed) && composed.contents !== null, text);
  const read = readValue(composed.contents);
  assert.ok(!("code" in read), text);
  assert.deepEqual(plain.value, read.value);
  assert.deepEqual([...plain.fields], [...read.fields]);
  assert.equal(plain.offset, composed.contents.range[0]);
  return true;
}

/** What stands in YAML, more often near the border of what is plain than a text made at random. */
const scalar = fc.constantFrom(
  ..."a /a/ true false True null Null ~ 0 1 007 08 -1 1.5 1e3 0x1F 0o7 .inf .5 a: a:b a:b: :a http://x:80/ 3s 1_0 <<".split(
    " ",
  ),
  ...[
    "'it'",
    "''",
    '""',
    '"a b"',
    '"a: b"',
    "'a\"b'",
    '"\\n"',
    "'it''s'",
    '"a',
    "a b",
    "{}",
    "[]",
    "{ }",
    "[ ]",
  ],
  ...[
    "-",
    "- a",
    "?",
    "!!str a",
    "&a b",
    "*a",
    "|",
    ">-",
    "@a",
    "`a",
    "%a",
    "a#b",
    "a #b",
    "a,b",
    "a]",
    "=",
    "a=",
    "yes",
  ],
  ...[
    "999999999999999",
    "9999999999999999",
    "__proto__",
    "a ",
    "---",
    "...",
    "",
    "\t",
    "LS0tLS1CRUdJTiBD+/==",
  ],
);
const key = fc.constantFrom(
  ..."a b kind metadata spec data stringData List null true 1 a.b/c-d __proto__ constructor << y -a".split(
    " ",
  ),
);
const flow: fc.Arbitrary<string> = fc.letrec((tie) => ({
  value: fc.oneof({ weight: 4, arbitrary: scalar }, tie("list"), tie("map")),
  list: fc.array(tie("value"), { maxLength: 3 }).map((all) => `[${all.join(", ")}]`),
  map: fc
    .array(fc.tuple(key, fc.constantFrom(": ", ":", ":  ", " : "), tie("value")), { maxLength: 3 })
    .map((all) => `{ ${all.map((each) => each.join("")).join(", ")} }`),
})).value as fc.Arbitrary<string>;
const line = fc
  .tuple(
    fc.constantFrom("", "", "  ", "  ", "    ", "      ", " "),
    key,
    flow,
    fc.constantFrom(": ", ":  ", ":"),
  )
  .map(([indent, name, value, colon]) => `${indent}${name}${value === "" ? ":" : colon + value}`);
const document = fc
  .tuple(
    fc.constantFrom("", "---\n", "--- \n", "\n", "# a\n", "---\n\n", "%YAML 1.2\n---\n"),
    fc.array(line, { minLength: 1, maxLength: 6 }),
    fc.constantFrom("\n", "", "\n\n", "\n  \n", "\n...\n", "\n# a\n"),
  )
  .map(([head, lines, end]) => head + lines.join("\n") + end);

test("what is read as plain YAML is what all of YAML makes of it, and most of what programs write is", () => {
  const simple = SEEDS.filter((text) => !/[#|>*&!\t]|^ *- /m.test(text));
  const found = simple.filter(agrees).length;
  assert.ok(simple.length > 40 && found > 0.8 * simple.length, `${found} of ${simple.length}`);
  for (const seed of SEEDS) agrees(seed);
});

for (const [what, texts] of [
  ["lines put together", document],
  ["changed documents", changedText],
] as const)
  test(`${what} are plain or are not, and never mean something else`, () => {
    let plain = 0;
    const agreed = fc.property(texts, (text) => {
      if (agrees(text)) plain += 1;
    });
    fc.assert(agreed, { numRuns: RUNS, interruptAfterTimeLimit: LIMIT_MS });
    assert.ok(plain > 20, `only ${plain} were plain`);
  });
