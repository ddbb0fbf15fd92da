import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFleet } from "../../../src/cli/envoy/fleet-file.ts";

test("rules as they are written", () => {
  const text = `groups:
  - name: edge
    match: { spiffe: "spiffe://example.org/edge/*" }
    namespaces: [edge, default]
  - name: inner
    match:
      dns: [a.example, "*.b.example"]
    namespaces: all
    ambassador_id: inner
    files: [/etc/inner]
    consul_services: [web]
    resolve_names: true
`;
  assert.deepEqual(parseFleet("fleet.yaml", text), {
    groups: [
      {
        name: "edge",
        match: { spiffe: ["spiffe://example.org/edge/*"], dns: [] },
        namespaces: ["edge", "default"],
      },
      {
        name: "inner",
        match: { spiffe: [], dns: ["a.example", "*.b.example"] },
        files: ["/etc/inner"],
        consulServices: ["web"],
        resolvesNames: true,
        ambassadorId: "inner",
      },
    ],
  });
});

const WRONG: readonly (readonly [text: string, line: number, column: number, message: RegExp])[] = [
  ["", 1, 1, /groups is missing/],
  ["groups: []\n", 1, 1, /groups must/],
  ["groups: [\n", 1, 10, /./],
  ["groups:\n  - name: a\n    mach: {}\n", 3, 5, /mach is no field of groups\.0/],
  ["groups:\n  - name: a\n    match: {}\n    namespaces: [a]\n", 3, 5, /groups\.0\.match/],
  ["groups:\n  - name: a\n    match: { dns: a.b }\n", 2, 5, /does not say its namespaces/],
  [
    "groups:\n  - name: a\n    match: { dns: a.b }\n    ambassador_id: a\n",
    2,
    5,
    /could name the Secrets of all.*namespaces: all/,
  ],
  [
    "groups:\n  - name: a\n    match: { dns: a.b }\n    namespaces: everything\n",
    4,
    5,
    /groups\.0\.namespaces/,
  ],
  [
    "groups:\n  - name: a\n    match: { dns: a.b }\n    namespaces: [a]\n    files: [certs]\n",
    5,
    13,
    /groups\.0\.files\.0/,
  ],
  [
    "groups:\n  - name: a\n    match:\n      spiffe: [spiffe://Bad/x]\n    namespaces: [a]\n",
    4,
    7,
    /is no SPIFFE ID/,
  ],
  ["groups:\n  - name: a\n    match: { dns: 3 }\n    namespaces: [a]\n", 3, 14, /match\.dns/],
  [
    "groups:\n  - { name: a, match: { dns: b }, namespaces: [a] }\n  - { name: a, match: { dns: c }, namespaces: [a] }\n",
    3,
    7,
    /two groups have the name a/,
  ],
];

test("what is wrong is said with its place, and nothing of the rules is used", () => {
  for (const [text, line, column, message] of WRONG) {
    const parsed = parseFleet("fleet.yaml", text);
    assert.ok("diagnostics" in parsed, text);
    const found = parsed.diagnostics.find((each) => message.test(each.message));
    assert.ok(found !== undefined, `${text}\n${JSON.stringify(parsed.diagnostics, null, 1)}`);
    assert.deepEqual(
      [found.code, found.source?.line, found.source?.column],
      ["fleet-invalid", line, column],
      text,
    );
  }
});
