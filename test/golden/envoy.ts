import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { fileURLToPath } from "node:url";
import type { Diagnostic } from "../../src/diagnostics/diagnostic.ts";
import { renderResources } from "../../src/engines/envoy/render.ts";
import type { XdsResource } from "../../src/engines/envoy/resources.ts";
import { translate } from "../../src/engines/envoy/translate.ts";
import type { GatewayModel } from "../../src/model/gateway.ts";
import { asText, type GoldenCase, runCase } from "./case.ts";
import { type Json, join, type Split, split } from "./envoy-parts.ts";

/** What a case comes to on Envoy. */
export interface EnvoyOutcome {
  readonly model: GatewayModel;
  readonly diagnostics: readonly Diagnostic[];
  readonly resources: readonly XdsResource[];
}

export function runOnEnvoy(golden: GoldenCase): EnvoyOutcome {
  const { model, diagnostics } = runCase(golden, "as-written", "envoy");
  return { model, diagnostics, resources: translate(model, { generations: new Map(), ports: new Map() }) };
}

/** What a case's files tell of Envoy. */
export interface EnvoyTold {
  readonly resources: Json;
  /** Null: those of the other engine, and there is no file. */
  readonly diagnostics: readonly Diagnostic[] | null;
}

export function tellOfEnvoy(golden: GoldenCase): EnvoyTold {
  const { diagnostics, resources } = runOnEnvoy(golden);
  const other = runCase(golden).diagnostics;
  return {
    resources: renderResources(resources) as Json,
    diagnostics: asText(other) === asText(diagnostics) ? null : diagnostics,
  };
}

/** Of all cases: what they have in common is written once. */
export function writeEnvoyFiles(cases: readonly GoldenCase[]): void {
  const told = new Map(cases.map((golden) => [golden.name, tellOfEnvoy(golden)]));
  const divided = split(new Map([...told].map(([name, { resources }]) => [name, resources])));
  writeFileSync(PARTS, asText(divided.parts));
  for (const golden of cases) {
    writeGolden(golden, "envoy.json", divided.cases.get(golden.name));
    writeGolden(golden, "envoy-diagnostics.json", told.get(golden.name)?.diagnostics ?? null);
  }
}

/** As `writeEnvoyFiles` has left it. */
export function readEnvoyFiles(golden: GoldenCase): EnvoyTold {
  return {
    resources: join(readGolden(golden, "envoy.json") as Json, readParts()),
    diagnostics: readGolden(golden, "envoy-diagnostics.json") as EnvoyTold["diagnostics"],
  };
}

const PARTS = fileURLToPath(new URL("./envoy-parts.json", import.meta.url));
let parts: Split["parts"] | undefined;

function readParts(): Split["parts"] {
  parts ??= JSON.parse(readFileSync(PARTS, "utf8")) as Split["parts"];
  return parts;
}

/** What the file holds; null: there is none. */
function readGolden({ folder }: GoldenCase, file: string): unknown {
  const path = joinPath(folder, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
}

function writeGolden({ folder }: GoldenCase, file: string, value: unknown): void {
  if (value === null) rmSync(joinPath(folder, file), { force: true });
  else writeFileSync(joinPath(folder, file), asText(value));
}
