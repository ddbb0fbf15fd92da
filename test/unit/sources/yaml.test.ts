import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseYaml } from "../../../src/sources/files/yaml.ts";

/** `line:column code` of each finding. */
function found(text: string): string[] {
  return parseYaml("f.yaml", text).diagnostics.map(
    ({ code, source }) => `${source?.line}:${source?.column} ${code}`,
  );
}

function values(text: string): unknown[] {
  return parseYaml("f.yaml", text).objects.map(({ value }) => value);
}

function places(text: string): string[] {
  return parseYaml("f.yaml", text).objects.map(({ source }) => `${source.line}:${source.column}`);
}

describe("documents of a file", () => {
  test("each is read with its place, whatever separates them", () => {
    const text =
      "a: 1\n---\nb: 2\n...\n# a comment\n%YAML 1.2\n--- # another\n\n  c: 3\n--- {d: 4}\n--- |\n  text\n";
    assert.deepEqual(values(text), [{ a: 1 }, { b: 2 }, { c: 3 }, { d: 4 }, "text\n"]);
    assert.deepEqual(places(text), ["1:1", "3:1", "9:3", "10:5", "11:5"]);
  });

  test("CRLF, a byte order mark and a missing last newline change nothing", () => {
    const text = "\uFEFFa: 1\r\n---\r\nb:\r\n  c: 2\r\n...\r\n---\r\nd: 3";
    assert.deepEqual(values(text), [{ a: 1 }, { b: { c: 2 } }, { d: 3 }]);
    assert.deepEqual(places(text), ["1:1", "3:1", "7:1"]);
    const [, second] = parseYaml("f.yaml", text).objects;
    assert.deepEqual(second?.fields.get("b.c"), { file: "f.yaml", line: 4, column: 3 });
  });

  test("a byte order mark in the middle, where files were put together, changes nothing", () => {
    for (const text of ["a: 1\n---\n\uFEFFb: 2", "a: 1\n\uFEFF---\nb: 2", "a: 1\r\n---\r\n\uFEFFb: 2\r\n"]) {
      assert.deepEqual(values(text), [{ a: 1 }, { b: 2 }], JSON.stringify(text));
      assert.deepEqual(places(text), ["1:1", "3:1"]);
    }
  });

  test("a template that was not rendered is called one, where it is what is wrong", () => {
    for (const text of ["a:\n  b: {{ .Values.b }}\n", "{{- if .Values.a }}\na: 1\n{{- end }}\n"]) {
      const [found] = parseYaml("f.yaml", text).diagnostics;
      assert.match(found?.message ?? "", /template/, text);
    }
    assert.doesNotMatch(parseYaml("f.yaml", "a: [\nb: '{{ x }}'").diagnostics[0]?.message ?? "-", /template/);
  });

  test("empty ones are none: nothing, comments, white space, null", () => {
    for (const text of [
      "",
      "\n",
      "---\n---\n...\n",
      "# only a comment\n",
      "--- # c\n",
      "---\n~\n",
      "\t\n",
      "%YAML 1.2\n",
    ])
      assert.deepEqual(
        parseYaml("f.yaml", text),
        { objects: [], keys: [], diagnostics: [], complete: true },
        JSON.stringify(text),
      );
  });

  test("a marker inside a scalar is none where it is indented, and one at the start of a line is always one", () => {
    assert.deepEqual(values("a: |\n  ---\n  ...\n---\nb: '\n  --- '\n"), [
      { a: "---\n...\n" },
      { b: " --- " },
    ]);
    assert.deepEqual(values('a: "open\n---\nb: 1\n'), [{ b: 1 }]);
    assert.deepEqual(values("a: |\n---\nb: 1\n"), [{ a: "" }, { b: 1 }]);
    assert.deepEqual(values("a: ---b\n---c: 1\n---\nb: 1\n"), [{ a: "---b", "---c": 1 }, { b: 1 }]);
  });

  test("directives and comments belong to what follows them; `%` further down is text", () => {
    assert.deepEqual(found("%TAG !e! tag:example.com,2000:\n---\na: !e!x b\n---\nc: !e!x d\n"), [
      "5:4 yaml-syntax",
    ]);
    assert.deepEqual(values("a: |\n  x\n---\n%b: 1\n---\nc: 1\n"), [{ a: "x\n" }, { c: 1 }]);
  });

  test("JSON is YAML: tabs, one line or many, several in a file", () => {
    const text = '{"a":\t[1,\n\t2], "b": "\\u00e9\\/"}\n---\n{\n\t"c": {"d": null}\n}\n';
    assert.deepEqual(values(text), [{ a: [1, 2], b: "é/" }, { c: { d: null } }]);
    const [first, second] = parseYaml("f.json", text).objects;
    assert.deepEqual(first?.fields.get("b"), { file: "f.json", line: 2, column: 6 });
    assert.deepEqual(second?.fields.get("c.d"), { file: "f.json", line: 5, column: 8 });
  });
});

describe("values", () => {
  test("are those of the core schema, whatever the document says", () => {
    assert.deepEqual(values("%YAML 1.1\n---\na: yes\nb: 0o17\nc: 1_000\nd: ~\ne: 2001-01-01\nf: TRUE\n"), [
      { a: "yes", b: 15, c: "1_000", d: null, e: "2001-01-01", f: true },
    ]);
  });

  test("keys are texts, and none reaches a prototype", () => {
    const [value] = values("1: a\ntrue: b\n__proto__: {polluted: yes}\n") as [Record<string, unknown>];
    assert.deepEqual(Object.keys(value), ["1", "true", "__proto__"]);
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.deepEqual(found("{a: 1}: b\n"), ["1:1 yaml-syntax"]);
  });

  test("an unknown tag changes nothing: values stay plain data", () => {
    assert.deepEqual(values("a: !!binary aGk=\nb: !!set {x}\nc: !local 1\nd: !!str 1\n"), [
      { a: "aGk=", b: { x: null }, c: "1", d: "1" },
    ]);
  });

  test("aliases stand for what was written before them, the last of one name", () => {
    assert.deepEqual(values("a: &x [1]\nb: *x\nc: &x 2\nd: *x\n"), [{ a: [1], b: [1], c: 2, d: 2 }]);
  });

  test("places are kept three levels deep, and none of what a Secret holds", () => {
    const [object] = parseYaml(
      "f",
      "spec:\n  config:\n    a:\n      b: 1\ndata:\n  tls.key: x\nlist:\n- c: 1\n",
    ).objects;
    assert.deepEqual(
      [...(object?.fields.keys() ?? [])],
      ["spec", "spec.config", "spec.config.a", "data", "list"],
    );
  });
});

/** Each stands between two good documents, with the place of its finding counted from its own first line. */
const BROKEN: readonly (readonly [name: string, text: string, line: number, column: number, code: string])[] =
  [
    ["a tab as indentation", "a:\n\tb: 1\n", 2, 1, "yaml-syntax"],
    ["an open bracket", "a: [1,\n  2\n", 2, 4, "yaml-syntax"],
    ["an open quote", 'a: 1\nb: "open\n', 2, 9, "yaml-syntax"],
    ["a key twice", "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, 3, "yaml-ambiguous"],
    ["a key twice, written in two ways", "a: 1\n'a': 2\n", 2, 1, "yaml-ambiguous"],
    ["a merge key", "a: &x {tls: ctx}\nspec:\n  <<: *x\n", 3, 3, "yaml-ambiguous"],
    ["an alias of nothing", "a: *nothing\n", 1, 4, "yaml-syntax"],
    ["an alias of itself", "a: &x\n  b: [*x]\n", 2, 7, "yaml-syntax"],
    ["a control character", "a: 1\nb: x\u0007y\n", 2, 5, "yaml-syntax"],
    ["a bad escape", 'a: "b\\q"\n', 1, 6, "yaml-syntax"],
    ["100,000 brackets", `a: ${"[".repeat(100_000)}\n`, 1, 104, "yaml-syntax"],
    ["100,000 braces", `a: ${"{b: ".repeat(100_000)}\n`, 1, 404, "yaml-syntax"],
    ["100,000 dashes", `${"- ".repeat(100_000)}\n`, 1, 203, "yaml-syntax"],
    ["a bomb", bomb(), 6, 17, "yaml-ambiguous"],
    [
      "10 MB of text",
      `a: 1\nb: |\n${"  all work and no play\n".repeat(450_000)}`,
      1,
      1,
      "document-too-large",
    ],
    ["10 MB on one line", `a: ${"x".repeat(10_000_000)}\n`, 1, 1, "document-too-large"],
    ["half a million short lines", "- a\n".repeat(500_000), 60_000, 3, "document-too-large"],
    ["half a million bad escapes", `a: "${"\\q".repeat(500_000)}"\n`, 1, 5, "yaml-syntax"],
  ];

describe("a broken document is reported at its place and hurts no other", () => {
  for (const [name, text, line, column, code] of BROKEN) {
    test(name, () => {
      const started = process.cpuUsage();
      const file = parseYaml("f.yaml", `before: 1\n---\n${text}---\nafter: 1\n`);
      assertBrief(started);
      assert.deepEqual(
        file.diagnostics.map((finding) => [finding.code, finding.source?.line, finding.source?.column]),
        [[code, line + 2, column]],
      );
      assert.deepEqual(
        file.objects.map(({ value, source }) => [value, source.line]),
        [
          [{ before: 1 }, 1],
          [{ after: 1 }, 3 + text.split("\n").length],
        ],
      );
      assert.equal(file.complete, false);
    });
  }

  test("30,000 keys of one map are no reason to stop", () => {
    const text = Array.from({ length: 30_000 }, (_, i) => `k${i}: 1\n`).join("");
    const started = process.cpuUsage();
    assert.equal(Object.keys(values(text)[0] as object).length, 30_000);
    assertBrief(started);
  });
});

test("no finding quotes what is written", () => {
  const KEY = "MIGHAgEAMBMGByqGSM49";
  for (const text of [
    `${KEY}\n  a: 1\n`,
    `a: "${KEY}\\q"\n`,
    `a: *${KEY}\n`,
    `&${KEY} &b a: 1\n`,
    `a: !${KEY}!x b\n`,
    `${KEY}: 1\n${KEY}: 2\n`,
    `%${KEY} a\nb: 1\n`,
    `a: @${KEY}\n`,
    `a: |${KEY}\n  x\n`,
    `... ${KEY}\n`,
    `a: ]${KEY}\n`,
  ]) {
    const { diagnostics } = parseYaml("f.yaml", text);
    assert.ok(diagnostics.length > 0, text);
    assert.ok(!JSON.stringify(diagnostics).includes(KEY.slice(0, 6)), JSON.stringify(diagnostics));
  }
});

/** A second, and four on a busy machine. What is quadratic takes minutes. */
function assertBrief(started: NodeJS.CpuUsage): void {
  assert.ok(process.cpuUsage(started).user < 4_000_000, "takes too long");
}

/** Ten to the ninth. */
function bomb(): string {
  const lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"];
  for (const [index, name] of [..."bcdefghi"].entries())
    lines.push(`${name}: &${name} [${Array(10).fill(`*${"abcdefghi"[index]}`).join(",")}]`);
  return `${lines.join("\n")}\n`;
}
