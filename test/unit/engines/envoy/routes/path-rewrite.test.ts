import assert from "node:assert/strict";
import { test } from "node:test";
import { RE2JS } from "re2js";
import { envoyRewrite } from "../../../../../src/engines/envoy/path-rewrite.ts";
import type { PathMatch, PathRewrite } from "../../../../../src/model/route.ts";

const PREFIX: PathMatch = { kind: "prefix", value: "/a" };

function refuses(rewrite: PathRewrite, match: PathMatch, path: string): boolean {
  const { climbs } = envoyRewrite(rewrite, match);
  return climbs !== null && RE2JS.compile(climbs).testExact(path);
}

test("what would have dot segments once its prefix is replaced is refused, and nothing else", () => {
  const root: PathRewrite = { kind: "prefix", value: "/" };
  for (const path of ["/a..", "/a../x", "/a.", "/a./x?y", "/a..?q"])
    assert(refuses(root, PREFIX, path), path);
  for (const path of ["/a", "/a/..x", "/a.b", "/a...", "/a?..", "/a/b.."])
    assert(!refuses(root, PREFIX, path), path);
  assert.equal(envoyRewrite({ kind: "prefix", value: "/v1" }, PREFIX).climbs, null);
  assert.equal(envoyRewrite(root, { kind: "prefix", value: "/a/" }).climbs, null);
  assert.equal(envoyRewrite(root, { kind: "exact", value: "/a" }).climbs, null);
});

test("a value with dot segments, or a substitution that may make some, lets nothing through", () => {
  for (const value of ["/..", "/x/../", "..", "/%2e%2E/x"])
    assert.equal(envoyRewrite({ kind: "prefix", value }, PREFIX).rewrite.kind, "impossible", value);
  for (const substitution of ["/../..", "/.", "/\\1.", "/.\\1/x", "/%2e./\\2"])
    assert(refuses({ kind: "regex", pattern: "^/a/x", substitution }, PREFIX, "/a/x/etc?q"), substitution);
  for (const substitution of ["/\\1", "/\\1.html", "/v1.2/\\1", "/.well-known/\\1"])
    assert(!refuses({ kind: "regex", pattern: "^/a/(x)", substitution }, PREFIX, "/a/x/etc"), substitution);
});

test("a rewritten path begins with a slash", () => {
  const value = (written: string, match = PREFIX) =>
    envoyRewrite({ kind: "prefix", value: written }, match).rewrite;
  assert.deepEqual(value("v1"), { kind: "prefix", value: "/v1" });
  assert.deepEqual(value(""), { kind: "regex", pattern: "^/a/?", substitution: "/" });
  assert.deepEqual(value("", { kind: "exact", value: "/a" }), { kind: "prefix", value: "/" });
});
