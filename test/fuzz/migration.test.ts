import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { compile } from "../../src/compile/compile.ts";
import { CredentialStore } from "../../src/credentials/store.ts";
import { createDnsEndpoints } from "../../src/endpoints/dns.ts";
import { explainRequest } from "../../src/engines/node/explain.ts";
import { migrationReport } from "../../src/migrate/migrate.ts";
import { migrationText } from "../../src/migrate/render.ts";
import { parseObject } from "../../src/resources/envelope.ts";
import { createResourceSet } from "../../src/resources/resource-set.ts";
import { parseYaml } from "../../src/sources/files/yaml.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { changedTree, SEEDS } from "./yaml-mutations.ts";

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 2000);
const LIMIT_MS = Number(process.env.CREDENCE_FUZZ_MS ?? 5000);

const logger = createLogger("silent");
const CONTEXT = {
  credentials: new CredentialStore(systemClock),
  endpoints: createDnsEndpoints({ clock: systemClock, logger }),
  clock: systemClock,
  logger,
};

/** What the reading verbs make of a file: nothing throws, and what stops is said. */
function tell(text: string, usable: boolean, path: string): void {
  const { objects: documents } = parseYaml("f.yaml", text);
  const parsed = documents.map((raw) => parseObject(raw, "default"));
  const set = createResourceSet(parsed.flatMap(({ resource }) => (resource === null ? [] : [resource])));
  const status = usable ? ({ usable: true } as const) : undefined;
  const statuses = {
    credential: () => status,
    trust: () => status,
    crl: () => status,
    hasTrustAnchors: () => usable,
  };
  const compiled = compile({
    resources: set.resources,
    statuses,
    options: {
      engine: "node",
      address: "127.0.0.1",
    },
  });
  const { model } = compiled;
  const findings = migrationReport({
    resources: set.resources,
    statuses,
    model,
    diagnostics: [
      ...parsed.flatMap(({ diagnostics }) => diagnostics),
      ...set.diagnostics,
      ...compiled.diagnostics,
    ],
    documents,
    ambassadorId: "default",
  });
  const said = findings.filter(({ severity }) => severity === "error");
  for (const found of findings) migrationText(found, true);
  const stops = [
    ...model.routes.flatMap(({ destinations }) => destinations.map(({ action }) => action.kind === "fail")),
    ...model.virtualHosts.map(({ tls }) => tls.mode === "refuse"),
  ].some((each) => each);
  assert.ok(!stops || said.length > 0, "something stops, and no error says so");

  for (const listener of model.listeners) {
    const answer = explainRequest(
      model,
      {
        listener,
        serverName: "a.example",
        head: `GET ${path} HTTP/1.1\r\nhost: a.example\r\nx-canary: 1\r\n`,
        remoteAddress: "127.0.0.1",
        clientCertificates: [],
      },
      CONTEXT,
    );
    if (answer.admission?.kind !== "route") continue;
    const taken = answer.judged.find(({ mismatches }) => mismatches.length === 0);
    assert.equal(taken?.route.name, answer.admission.route.name);
  }
}

const PATHS = ["/", "/backend/x", "/a/b?q=1", "/A/", "/x/../a/"];

test("every document of the corpus", () => {
  for (const seed of SEEDS) for (const path of PATHS) tell(seed, true, path);
});

test("whatever is changed in documents: migrate and explain do not throw, and what stops is said", () => {
  fc.assert(
    fc.property(
      fc.array(changedTree, { minLength: 1, maxLength: 3 }).map((documents) => documents.join("\n---\n")),
      fc.boolean(),
      fc.constantFrom(...PATHS),
      tell,
    ),
    { numRuns: RUNS, interruptAfterTimeLimit: LIMIT_MS },
  );
});
