import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { RequestHead } from "../../src/engines/node/http1/request-head.ts";
import { judgeRoutes } from "../../src/engines/node/near-misses.ts";
import { RouteTable } from "../../src/engines/node/route-table.ts";
import type { Route, RouteMatch } from "../../src/model/route.ts";

const path = fc
  .array(fc.constantFrom("a", "b", "A", "ab"), { minLength: 0, maxLength: 3 })
  .map((parts) => `/${parts.join("/")}`);
const text = fc.oneof(
  fc.record({ kind: fc.constant("exact" as const), value: fc.constantFrom("1", "2") }),
  fc.record({ kind: fc.constant("regex" as const), value: fc.constantFrom("[12]", "1.*") }),
  fc.constant({ kind: "present" as const }),
);
const field = fc.tuple(fc.constantFrom("x", "y"), text).map(([name, wanted]) => ({ name, ...wanted }));
const match: fc.Arbitrary<RouteMatch> = fc
  .record(
    {
      path: fc
        .record(
          {
            kind: fc.constantFrom("prefix" as const, "exact" as const, "regex" as const),
            value: path,
            ignoreCase: fc.constant(true as const),
          },
          { requiredKeys: ["kind", "value"] },
        )
        .map((each) => (each.kind === "regex" ? { ...each, value: `${each.value}.*` } : each)),
      host: fc.constantFrom("one.example", "two.example"),
      method: fc.constantFrom(
        { kind: "exact" as const, value: "GET" },
        { kind: "regex" as const, value: "P.*" },
      ),
      headers: fc.array(field, { minLength: 1, maxLength: 2 }),
      query: fc.array(field, { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: ["path"] },
  )
  .map((each) => each as RouteMatch);

test("the route without mismatches that stands first is the one that the table finds", () => {
  fc.assert(
    fc.property(
      fc.array(match, { maxLength: 12 }),
      path,
      fc.record({
        method: fc.constantFrom("GET", "POST"),
        host: fc.constantFrom("one.example", "two.example", "three.example"),
        headers: fc.array(fc.tuple(fc.constantFrom("x", "y"), fc.constantFrom("1", "2", "12")), {
          maxLength: 2,
        }),
        query: fc.constantFrom("", "?x=1", "?x=2&y", "?y=12"),
      }),
      (matches, asked, { method, host, headers, query }) => {
        const routes: Route[] = matches.map((each, index) => ({
          name: `mapping/default/${index}`,
          match: each,
          destinations: [
            { name: `mapping/default/${index}`, weight: 1, action: { kind: "fail", code: "none" } },
          ],
        }));
        const head = new RequestHead(10);
        const lines = [
          `${method} ${asked}${query} HTTP/1.1`,
          `host: ${host}`,
          ...headers.map((each) => each.join(": ")),
        ];
        const bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(""));
        assert.equal(head.parse(bytes, 0, bytes.length), null);
        const request = { method, host, fields: head.fields, query };
        const judged = judgeRoutes(routes, asked, request);
        const first = judged.find(({ mismatches }) => mismatches.length === 0);
        assert.equal(first?.route.name, new RouteTable(routes).find(asked, request)?.name);
      },
    ),
    { numRuns: 500 },
  );
});
