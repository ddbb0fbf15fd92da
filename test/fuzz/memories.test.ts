import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { compile } from "../../src/compile/compile.ts";
import { hashModel } from "../../src/compile/hash-model.ts";
import { CompileMemory } from "../../src/compile/compile-memory.ts";
import type { CredentialStatuses } from "../../src/compile/statuses.ts";
import { EMPTY, KINDS, type Snapshot, snapshotOf } from "../../src/engines/envoy/ads/snapshot.ts";
import { translate } from "../../src/engines/envoy/translate.ts";
import { TranslationMemory } from "../../src/engines/envoy/translation-memory.ts";
import type { Route } from "../../src/model/route.ts";
import { parseObject } from "../../src/resources/envelope.ts";
import type { AnyResource } from "../../src/resources/kinds.ts";
import { createResourceSet } from "../../src/resources/resource-set.ts";
import { ResourceSets } from "../../src/resources/resource-sets.ts";

function statusesOf(isUsable: boolean): CredentialStatuses {
  return {
    credential: () =>
      isUsable ? { usable: true } : { usable: false, code: "certificate-expired", reason: "it is over" },
    trust: () => ({ usable: true }),
    crl: () => undefined,
    hasTrustAnchors: () => false,
  };
}
const options = {
  engine: "node" as const,
  address: "127.0.0.1",
};

const spec = fc.record(
  {
    prefix: fc.constantFrom("/", "/a/", "/b/", "/a/b/", "/c/", "/d/", "(", 7),
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
  name: fc.constantFrom(..."abcdefghij"),
  spec,
});
/** One that forwards: several of them have one cluster. */
const plain = fc.record({
  kind: fc.constant("Mapping"),
  name: fc.constantFrom(..."abcdefghij"),
  spec: fc.record(
    {
      prefix: fc.constantFrom("/", "/a/", "/b/", "/c/"),
      host: fc.constantFrom("x.example", "y.example"),
      service: fc.constantFrom("a", "b"),
      tls: fc.constantFrom("one", "two"),
    },
    { requiredKeys: ["prefix", "service"] },
  ),
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

/** A world and the changes to it, one after the other: objects that come, go, or take another's place under its name. */
const worlds = fc.record({
  begin: fc.array(fc.oneof(mapping, plain, plain, context, module), { maxLength: 8 }),
  steps: fc.array(
    fc.record({
      at: fc.nat(10),
      take: fc.nat(2),
      put: fc.array(fc.oneof(mapping, plain, plain, context, module), { maxLength: 2 }),
      isUnderItsName: fc.boolean(),
      /** What the store says of certificates from then on; null: what it said. */
      usable: fc.constantFrom(null, null, null, true, false),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

type Worlds = typeof worlds extends fc.Arbitrary<infer T> ? T : never;

/** Each state of a world. The objects that stay are the same objects, as those of a file that has not changed are. */
function* statesOf({ begin, steps }: Worlds) {
  let objects = begin.flatMap(parse);
  let [epoch, usable] = [0, true];
  const states = () => ({ objects, statuses: statusesOf(usable), epoch });
  yield states();
  for (const step of steps) {
    const at = step.at % (objects.length + 1);
    const { name } = objects[at] ?? {};
    const put = step.put.flatMap((value, index) =>
      parse(step.isUnderItsName && name !== undefined ? { ...value, name } : value, at + index),
    );
    objects = objects.toSpliced(at, step.take, ...put);
    if (step.usable !== null && step.usable !== usable) [epoch, usable] = [epoch + 1, step.usable];
    yield states();
  }
}

test("a ResourceSet that follows another is the one that is made afresh", () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const sets = new ResourceSets();
      for (const { objects } of statesOf(world))
        assert.deepEqual(sets.of(objects), createResourceSet(objects));
    }),
    { numRuns: 1000 },
  );
});

test("what is remembered of earlier compiles never changes what comes out", () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const [sets, memory] = [new ResourceSets(), new CompileMemory()];
      for (const { objects, statuses, epoch } of statesOf(world)) {
        const { resources } = sets.of(objects);
        const remembered = compile({ resources, statuses, epoch, options }, memory);
        const afresh = compile({ resources, statuses, options });
        assert.deepEqual(remembered.model, afresh.model);
        assert.deepEqual(remembered.diagnostics, afresh.diagnostics);
        assert.equal(hashModel(remembered.model), hashModel(structuredClone(afresh.model)));
      }
    }),
    { numRuns: 1000 },
  );
});

test("what is remembered of earlier translations never changes what is sent", () => {
  const rotations = fc.array(fc.nat(2), { minLength: 7, maxLength: 7 });
  fc.assert(
    fc.property(worlds, rotations, (world, rotated) => {
      const [sets, compiled, translated] = [new ResourceSets(), new CompileMemory(), new TranslationMemory()];
      let before: Snapshot = EMPTY;
      let generation = 1;
      for (const [step, { objects, statuses, epoch }] of [...statesOf(world)].entries()) {
        generation += rotated[step] ?? 0;
        const { resources } = sets.of(objects);
        const given = { resources, statuses, epoch, options: { ...options, engine: "envoy" as const } };
        const { model } = compile(given, compiled);
        const generations = new Map([
          ["credential secret/default/s", String(generation)],
          ["trust secret/default/ca", "first"],
        ]);
        const context = { generations, ports: new Map() };
        const now = snapshotOf(translate(model, context, translated), before);
        const afresh = snapshotOf(translate(structuredClone(model), context));
        assert.deepEqual(contentOf(now), contentOf(afresh));
        // What is published twice is one object: clients are sent nothing of it.
        for (const kind of KINDS)
          for (const [name, encoded] of now[kind])
            if (
              before[kind].get(name)?.version === encoded.version &&
              before[kind].get(name)?.from.join() === encoded.from.join()
            )
              assert.equal(before[kind].get(name), encoded, `${kind} ${name}`);
        before = now;
      }
    }),
    { numRuns: 300 },
  );
});

test("a model's hash is that of its content, however its lists came about", () => {
  const route = (name: number): Route => ({
    name: `mapping/default/${name}`,
    match: { path: { kind: "prefix", value: `/${name}/` } },
    destinations: [],
  });
  const { model } = compile({
    resources: createResourceSet([]).resources,
    statuses: statusesOf(true),
    options,
  });
  // Long enough for several sections; what comes, goes and stands elsewhere moves their bounds.
  const steps = fc.array(
    fc.record({
      at: fc.oneof(fc.nat(400), fc.constant(9999)),
      take: fc.nat(2),
      put: fc.array(fc.nat(9), { maxLength: 2 }),
    }),
    {
      minLength: 1,
      maxLength: 8,
    },
  );
  fc.assert(
    fc.property(steps, (steps) => {
      let routes = Array.from({ length: 400 }, (_, at) => route(1000 + at));
      const seen = new Map<string, string>();
      for (const { at, take, put } of [{ at: 0, take: 0, put: [] }, ...steps]) {
        routes = routes.toSpliced(at, take, ...put.map(route));
        const now = { ...model, routes };
        const hash = hashModel(now);
        assert.equal(hash, hashModel(structuredClone(now)));
        const names = routes.map(({ name }) => name).join();
        assert.equal(seen.get(hash) ?? names, names);
        seen.set(hash, names);
      }
      assert.equal(seen.size, new Set(seen.values()).size);
    }),
    { numRuns: 100 },
  );
});

/** In the order in which it is sent. */
function contentOf(snapshot: Snapshot): unknown {
  return KINDS.map((kind) => [
    kind,
    [...snapshot[kind].values()].map(({ name, version, bytes, from }) => [name, version, bytes, from]),
  ]);
}
