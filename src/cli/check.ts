import { readFileSync, statSync } from "node:fs";
import { type ReadText, renderJson, renderText, sortDiagnostics } from "../diagnostics/render.ts";
import type { FleetGroup } from "../engines/envoy/fleet/groups.ts";
import type { GatewayModel } from "../model/gateway.ts";
import { MAX_FILE_BYTES } from "../sources/files/tree.ts";
import { unaskedEndpoints } from "./endpoint-sources.ts";
import { boundsOf } from "./group-bounds.ts";
import { loadGateway, type ResourceFlags } from "./load.ts";
import { allExist } from "./paths.ts";
import { type Input, inputOf } from "./standard-input.ts";
import { counted, endWithReader, inColour, printJson, printText } from "./standard-output.ts";

export interface CheckFlags extends ResourceFlags {
  readonly format: "text" | "json";
  readonly strict?: boolean;
  /** Rules of a fleet: checked, and the resources as each group has them. */
  readonly fleet?: string;
}

/** Everything that `run` would do up to the compiled model, credentials included, and what was found on the way. */
export async function check(paths: readonly string[], flags: CheckFlags): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const found = flags.fleet === undefined ? [await checked(paths, flags)] : await checkFleet(paths, flags);
  const sum = (severity: "errors" | "warnings"): number =>
    found.reduce((count, { report }) => count + report.summary[severity], 0);
  const summary = { errors: sum("errors"), warnings: sum("warnings") };
  if (flags.format === "json") {
    const groups = found.map(({ group, report: { diagnostics, summary } }) => ({
      group,
      diagnostics,
      summary,
    }));
    const [only] = found;
    printJson(
      only?.group === undefined && only !== undefined ? only.report : { version: 1, groups, summary },
    );
  } else {
    const readText = textReader((await inputOf(paths)).given);
    for (const one of found) printChecked(one, flags.strict === true, readText);
  }
  process.exitCode = summary.errors > 0 || (flags.strict === true && summary.warnings > 0) ? 1 : 0;
}

interface Checked {
  /** Of a fleet: whose resources these are. */
  readonly group?: string;
  readonly report: ReturnType<typeof renderJson>;
  /** Absent: nothing was compiled. */
  readonly model?: GatewayModel;
}

async function checked(
  paths: readonly string[],
  flags: ResourceFlags,
  group: FleetGroup | null = null,
): Promise<Checked> {
  const { diagnostics, compilation, resources } = await loadGateway(paths, flags, boundsOf(group));
  const { model } = compilation;
  const all = sortDiagnostics([...diagnostics, ...unaskedEndpoints(model, resources.resolvers)]);
  return { report: renderJson(all), model, ...(group === null ? {} : { group: group.name }) };
}

/** As the control plane would have it: the rules, and of each group what is its own. */
async function checkFleet(paths: readonly string[], flags: CheckFlags): Promise<Checked[]> {
  const { readFleetFile } = await import("./envoy/fleet-file.ts");
  const read = readFleetFile(flags.fleet ?? "");
  if ("diagnostics" in read) return [{ report: renderJson(read.diagnostics) }];
  const found: Checked[] = [];
  for (const group of read.groups) {
    const { ambassadorId = flags.ambassadorId } = group;
    found.push(await checked(paths, { ...flags, engine: "envoy", ambassadorId }, group));
  }
  return found;
}

function printChecked({ group, report, model }: Checked, isStrict: boolean, readText: ReadText): void {
  const colour = inColour();
  const name = group === undefined ? "" : `group ${group}: `;
  for (const diagnostic of report.diagnostics)
    printText(`${name}${renderText(diagnostic, readText, colour)}\n\n`);
  const { errors, warnings } = report.summary;
  const strict = isStrict && warnings > 0 ? " (--strict: warnings count as errors)" : "";
  const hosts = model?.virtualHosts.filter(({ tls }) => tls.mode !== "cleartext").length ?? 0;
  const what =
    model === undefined
      ? "the rules of the fleet"
      : `${counted(model.routes.length, "route")}, ${counted(hosts, "TLS host")}`;
  printText(`${name}${what}: ${counted(errors, "error")}, ${counted(warnings, "warning")}${strict}\n`);
}

/** Reads each file once, for the frames around findings. */
function textReader(given: Input["given"]): ReadText {
  const texts = new Map<string, string | undefined>();
  for (const [name, reading] of given) texts.set(name, reading.ok ? reading.text : undefined);
  return (file) => {
    if (!texts.has(file)) texts.set(file, readOrNothing(file));
    return texts.get(file);
  };
}

function readOrNothing(file: string): string | undefined {
  try {
    // A finding may be that it is a FIFO, which would be waited for, a device without an end, or too large.
    const found = statSync(file);
    return found.isFile() && found.size <= MAX_FILE_BYTES ? readFileSync(file, "utf8") : undefined;
  } catch {
    return undefined;
  }
}
