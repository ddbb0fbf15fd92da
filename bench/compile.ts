// How long resources take to become a model, and what they weigh: `node bench/compile.ts [--mappings 10000] [--contexts 100]`.
import { parseArgs } from "node:util";
import { compile } from "../src/compile/compile.ts";
import { hashModel } from "../src/compile/hash-model.ts";
import { CompileMemory } from "../src/compile/compile-memory.ts";
import type { CredentialStatuses } from "../src/compile/statuses.ts";
import { parseObject } from "../src/resources/envelope.ts";
import type { AnyResource } from "../src/resources/kinds.ts";
import { createResourceSet } from "../src/resources/resource-set.ts";
import { ResourceSets } from "../src/resources/resource-sets.ts";
import { parseYaml } from "../src/sources/files/yaml.ts";

const { values } = parseArgs({
  options: {
    mappings: { type: "string", default: "10000" },
    contexts: { type: "string", default: "100" },
    rounds: { type: "string", default: "5" },
  },
});
const [mappings, contexts, rounds] = [
  Number(values.mappings),
  Number(values.contexts),
  Number(values.rounds),
];

function yaml(): string {
  const documents: string[] = [];
  for (let index = 0; index < contexts; index++) {
    documents.push(
      `apiVersion: getambassador.io/v2\nkind: TLSContext\nmetadata:\n  name: context-${index}\nspec:\n  hosts: []\n  secret: secret-${index}\n  ca_secret: ca\n`,
    );
  }
  for (let index = 0; index < mappings; index++) {
    documents.push(
      `apiVersion: getambassador.io/v2\nkind: Mapping\nmetadata:\n  name: mapping-${index}\n  namespace: team-${index % 50}\nspec:\n` +
        `  prefix: /team-${index % 50}/service-${index}/\n  service: service-${index}:8443\n  tls: context-${index % contexts}.default\n  timeout_ms: 5000\n`,
    );
  }
  return documents.join("---\n");
}

const statuses: CredentialStatuses = {
  credential: () => ({ usable: true }),
  trust: () => ({ usable: true }),
  crl: () => undefined,
  hasTrustAnchors: () => false,
};
const options = {
  engine: "node" as const,
  address: "127.0.0.1",
};

const text = yaml();
const started = performance.now();
const parsed = parseYaml("bench.yaml", text);
const yamlMs = performance.now() - started;
const objects = parsed.objects
  .map((raw) => parseObject(raw, "default").resource)
  .filter((resource): resource is AnyResource => resource !== null);
const objectsMs = performance.now() - started - yamlMs;

const times: number[] = [];
let hash = "";
for (let round = 0; round < rounds; round++) {
  const before = performance.now();
  const { resources } = createResourceSet(objects);
  const { model } = compile({ resources, statuses, options });
  hash = hashModel(model);
  times.push(performance.now() - before);
}
// One Mapping changes, the other objects are the same ones.
const memory = new CompileMemory();
const sets = new ResourceSets();
const compileAll = (all: readonly AnyResource[]): void => {
  const { resources } = sets.of(all);
  hashModel(compile({ resources, statuses, epoch: 1, options }, memory).model);
};
compileAll(objects);
const changes: number[] = [];
for (let round = 0; round < rounds; round++) {
  const at = objects.findIndex(({ name }) => name === `mapping-${round * 7}`);
  const old = objects[at] as AnyResource;
  const changed = parseObject({ ...old.raw, value: withTimeout(old.raw.value, round) }, "default").resource;
  const before = performance.now();
  compileAll(objects.with(at, changed as AnyResource));
  changes.push(performance.now() - before);
}
changes.sort((a, b) => a - b);
times.sort((a, b) => a - b);
global.gc?.();
const { heapUsed } = process.memoryUsage();
console.log(
  `${mappings} Mappings, ${contexts} TLSContexts, ${(text.length / 1e6).toFixed(1)} MB of YAML\n` +
    `parsing: YAML ${Math.round(yamlMs)} ms, objects ${Math.round(objectsMs)} ms\n` +
    `ResourceSet, model and hash: median ${Math.round(times[Math.floor(times.length / 2)] as number)} ms, first ${Math.round(times.at(-1) as number)} ms (${hash.slice(0, 12)})\n` +
    `one Mapping changed: median ${Math.round(changes[Math.floor(changes.length / 2)] as number)} ms\n` +
    `heap in use: ${Math.round(heapUsed / 1e6)} MB`,
);

function withTimeout(value: unknown, timeout: number): unknown {
  const object = value as { spec: object };
  return { ...object, spec: { ...object.spec, timeout_ms: timeout } };
}
