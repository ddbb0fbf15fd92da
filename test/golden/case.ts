import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "../../src/compile/compile.ts";
import type { CredentialStatuses, Status } from "../../src/compile/statuses.ts";
import type { Diagnostic } from "../../src/diagnostics/diagnostic.ts";
import { sortDiagnostics } from "../../src/diagnostics/render.ts";
import type { EngineName } from "../../src/model/capabilities.ts";
import type { GatewayModel } from "../../src/model/gateway.ts";
import { parseObject } from "../../src/resources/envelope.ts";
import type { AnyResource } from "../../src/resources/kinds.ts";
import { createResourceSet } from "../../src/resources/resource-set.ts";
import { parseYaml } from "../../src/sources/files/yaml.ts";

const CASES = fileURLToPath(new URL("./cases/", import.meta.url));

export interface GoldenCase {
  readonly name: string;
  readonly folder: string;
}

export function goldenCases(): GoldenCase[] {
  return readdirSync(CASES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, folder: join(CASES, name) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What `statuses.json` holds: each name that was offered to the store, and what became of it. */
interface Offered {
  readonly credential?: Readonly<Record<string, Verdict>>;
  readonly trust?: Readonly<Record<string, Verdict>>;
  readonly crl?: Readonly<Record<string, Verdict>>;
  readonly trustAnchors?: readonly string[];
}

type Verdict =
  | true
  | { readonly refusedByEnvoy: string }
  | { readonly code: string; readonly reason: string };

/** From a case's YAML to what the gateway should do, in the order of its documents or in the opposite one. */
export function runCase(
  { folder }: GoldenCase,
  order: "as-written" | "reversed" = "as-written",
  engine: EngineName = "node",
): { model: GatewayModel; diagnostics: Diagnostic[] } {
  // What is broken on purpose is no .yaml, so that no formatter takes offence.
  const input = existsSync(join(folder, "input.yaml")) ? "input.yaml" : "input.broken";
  const statuses = join(folder, "statuses.json");
  const offered = existsSync(statuses) ? (JSON.parse(readFileSync(statuses, "utf8")) as Offered) : {};
  return compileText(input, readFileSync(join(folder, input), "utf8"), offered, order, engine);
}

/** The way from text to model, with the credentials that `offered` says. */
export function compileText(
  file: string,
  text: string,
  offered: Offered,
  order: "as-written" | "reversed" = "as-written",
  engine: EngineName = "node",
): { model: GatewayModel; diagnostics: Diagnostic[] } {
  const parsed = parseYaml(file, text);
  const raws = order === "reversed" ? [...parsed.objects].reverse() : parsed.objects;
  const objects = raws.map((raw) => parseObject(raw, "default"));
  const set = createResourceSet(
    objects.map(({ resource }) => resource).filter((resource): resource is AnyResource => resource !== null),
  );
  const compilation = compile({
    resources: set.resources,
    statuses: statusesOf(offered),
    options: {
      engine,
      address: "0.0.0.0",
    },
  });
  return {
    model: compilation.model,
    diagnostics: sortDiagnostics([
      ...parsed.diagnostics,
      ...objects.flatMap(({ diagnostics }) => diagnostics),
      ...set.diagnostics,
      ...compilation.diagnostics,
    ]),
  };
}

function statusesOf(offered: Offered): CredentialStatuses {
  const status = (verdict: Verdict | undefined): Status | undefined => {
    if (verdict === undefined) return undefined;
    if (verdict === true) return { usable: true };
    return "refusedByEnvoy" in verdict ? { usable: true, ...verdict } : { usable: false, ...verdict };
  };
  return {
    credential: (name) => status(offered.credential?.[name]),
    trust: (name) => status(offered.trust?.[name]),
    crl: (name) => status(offered.crl?.[name]),
    hasTrustAnchors: (name) => offered.trustAnchors?.includes(name) === true,
  };
}

export function asText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
