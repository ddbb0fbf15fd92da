import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { RequestHead } from "../../src/engines/node/http1/request-head.ts";
import { conditionsOf } from "../../src/engines/node/route-match.ts";
import { RouteTable } from "../../src/engines/node/route-table.ts";
import type { PathMatch, Route, RouteMatch } from "../../src/model/route.ts";

const paths = ["/", "/a", "/a/", "/a/b", "/A/b", "/a/b/c", "/ab", "/b/"];
const hosts = ["a.example", "b.example", "a.example:81"];

const path: fc.Arbitrary<PathMatch> = fc.oneof(
  fc.record(
    {
      kind: fc.constantFrom("prefix" as const, "exact" as const),
      value: fc.constantFrom(...paths),
      ignoreCase: fc.constant(true as const),
    },
    { requiredKeys: ["kind", "value"] },
  ),
  fc.record({
    kind: fc.constant("regex" as const),
    value: fc.constantFrom("/a/.*", "/[ab]/?", ".*c", "/A/B"),
  }),
);
const text = fc.oneof(
  fc.record({ kind: fc.constant("exact" as const), value: fc.constantFrom("GET", "POST", "1", "2") }),
  fc.record({ kind: fc.constant("regex" as const), value: fc.constantFrom("P.*", "[12]") }),
  fc.constant({ kind: "present" as const }),
);
const field = fc.tuple(fc.constantFrom("x-a", "x-b"), text).map(([name, match]) => ({ name, ...match }));
const match: fc.Arbitrary<RouteMatch> = fc.record(
  {
    path,
    host: fc.constantFrom(...hosts),
    hostPattern: fc.constantFrom("[ab]\\.example", ".*:81"),
    method: text,
    headers: fc.array(field, { minLength: 1, maxLength: 2 }),
    query: fc.array(field, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ["path"] },
);
const request = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT"),
  path: fc.constantFrom(...paths),
  host: fc.constantFrom(...hosts),
  headers: fc.constantFrom("", "X-A: 1\r\n", "X-B: 2\r\n", "x-a: 1\r\nx-a: 2\r\n"),
  query: fc.constantFrom("", "?x-a=1", "?x-b&x-a=2", "?x-ab=1"),
});

test("the table finds what the ordered list says: the first route that matches", () => {
  fc.assert(
    fc.property(
      fc.array(match, { maxLength: 25 }),
      fc.array(request, { minLength: 1, maxLength: 8 }),
      (matches, requests) => {
        const routes = matches.map(
          (match, index): Route => ({ name: String(index), match, destinations: [] }),
        );
        const table = new RouteTable(routes);
        for (const { method, path, host, headers, query } of requests) {
          const head = new RequestHead(10);
          const bytes = Buffer.from(`${method} ${path}${query} HTTP/1.1\r\nHost: ${host}\r\n${headers}`);
          assert.equal(head.parse(bytes, 0, bytes.length), null);
          const asked = { method, host, fields: head.fields, query };
          const first = routes.find(
            (route) =>
              pathMatches(route.match.path, path) &&
              (route.match.host === undefined || route.match.host === host) &&
              conditionsOf(route.match).every((condition) => condition(asked)),
          );
          assert.equal(table.find(path, asked)?.name, first?.name);
        }
      },
    ),
    { numRuns: 500 },
  );
});

/** The plain meaning, with JavaScript's own expressions: these few mean the same there. */
function pathMatches({ kind, value, ignoreCase }: PathMatch, path: string): boolean {
  if (kind === "regex") return new RegExp(`^(?:${value})$`, ignoreCase === true ? "i" : "").test(path);
  const [wanted, asked] = ignoreCase === true ? [value.toLowerCase(), path.toLowerCase()] : [value, path];
  return kind === "exact" ? asked === wanted : asked.startsWith(wanted);
}
