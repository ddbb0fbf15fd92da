import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compile } from "../../src/compile/compile.ts";
import { RouteMemory } from "../../src/compile/route-memory.ts";
import type { CredentialStatuses } from "../../src/compile/statuses.ts";
import { type AnyResource, parseObject } from "../../src/resources/envelope.ts";
import { createResourceSet } from "../../src/resources/resource-set.ts";

const statuses: CredentialStatuses = {
  credential: () => ({ usable: true }),
  trust: () => ({ usable: true }),
  crl: () => undefined,
  hasTrustAnchors: () => false,
};
const options = {
  engine: "node" as const,
  address: "127.0.0.1",
  requireUpstreamVerification: false,
  allowUnenforced: false,
};

const spec = fc.record(
  {
    prefix: fc.constantFrom("/", "/a/", "/b/", "/a/b/", "(", 7),
    service: fc.constantFrom("a", "https://b", "c:99", "://"),
    host: fc.constantFrom("x.example", "y.example"),
    method: fc.constantFrom("GET", "["),
    method_regex: fc.boolean(),
    weight: fc.constantFrom(10, 60, 100),
    tls: fc.constantFrom("one", "two", "none", true),
    shadow: fc.boolean(),
    host_redirect: fc.boolean(),
    connect_timeout_ms: fc.constantFrom(100, 200),
    add_request_headers: fc.constant({ "x-a": "1" }),
    retry_policy: fc.constant({ retry_on: "5xx" }),
  },
  { requiredKeys: ["prefix", "service"] },
);
const mapping = fc.record({
  kind: fc.constant("Mapping"),
  name: fc.constantFrom("a", "b", "c", "d", "e"),
  spec,
});
const context = fc.record({
  kind: fc.constant("TLSContext"),
  name: fc.constantFrom("one", "two"),
  spec: fc.constantFrom(
    { secret: "s" },
    { secret: "s", ca_secret: "ca" },
    { sni: "sni.example" },
    { secret: 7 },
  ),
});
const module = fc.record({
  kind: fc.constant("Module"),
  name: fc.constant("ambassador"),
  spec: fc.constantFrom(
    { config: {} },
    { config: { cluster_request_timeout_ms: 5 } },
    { config: { retry_policy: { retry_on: "gateway-error" }, regex_max_size: 1 } },
    { config: { lua_scripts: "x" } },
  ),
});

function parse(value: { kind: string; name: string; spec: unknown }, index: number): AnyResource[] {
  const raw = {
    value: {
      apiVersion: "getambassador.io/v2",
      kind: value.kind,
      metadata: { name: value.name },
      spec: value.spec,
    },
    source: { file: "f", line: index + 1, column: 1 },
    fields: new Map(),
  };
  const { resource } = parseObject(raw, "default");
  return resource === null ? [] : [resource];
}

test("what is remembered of earlier compiles never changes what comes out", () => {
  const worlds = fc.array(
    fc.record({
      keep: fc.nat(10),
      add: fc.array(fc.oneof(mapping, mapping, mapping, context, module), { maxLength: 6 }),
    }),
    { minLength: 2, maxLength: 6 },
  );
  fc.assert(
    fc.property(worlds, (steps) => {
      const memory = new RouteMemory();
      let objects: AnyResource[] = [];
      for (const { keep, add } of steps) {
        // The objects that stay are the same objects, as those of a file that has not changed are.
        objects = [...objects.slice(0, keep), ...add.flatMap(parse)];
        const { resources } = createResourceSet(objects);
        const remembered = compile({ resources, statuses, options }, memory);
        const afresh = compile({ resources, statuses, options });
        assert.deepEqual(remembered.model, afresh.model);
        assert.deepEqual(remembered.diagnostics, afresh.diagnostics);
      }
    }),
    { numRuns: 300 },
  );
});
