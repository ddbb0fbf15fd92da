import { readFileSync } from "node:fs";
import { type ReadText, renderJson, renderText } from "../diagnostics/render.ts";
import { loadGateway, type ResourceFlags } from "./load.ts";
import { allExist } from "./paths.ts";
import { endWithReader, inColour, printJson } from "./standard-output.ts";

export interface CheckFlags extends ResourceFlags {
  readonly format: "text" | "json";
  readonly strict?: boolean;
}

/** Everything that `run` would do up to the compiled model, credentials included, and what was found on the way. */
export async function check(paths: readonly string[], flags: CheckFlags): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const { diagnostics, compilation } = await loadGateway(paths, flags);
  const report = renderJson(diagnostics);
  if (flags.format === "json") printJson(report);
  else {
    const readText = textReader();
    const colour = inColour();
    for (const diagnostic of diagnostics)
      process.stdout.write(`${renderText(diagnostic, readText, colour)}\n\n`);
    const { routes, virtualHosts } = compilation.model;
    const { errors, warnings } = report.summary;
    const hosts = virtualHosts.filter(({ tls }) => tls.mode !== "cleartext").length;
    const strict = flags.strict === true && warnings > 0 ? " (--strict: warnings count as errors)" : "";
    process.stdout.write(
      `${counted(routes.length, "route")}, ${counted(hosts, "TLS host")}: ${counted(errors, "error")}, ${counted(warnings, "warning")}${strict}\n`,
    );
  }
  const { errors, warnings } = report.summary;
  process.exitCode = errors > 0 || (flags.strict === true && warnings > 0) ? 1 : 0;
}

/** Reads each file once, for the frames around findings. */
function textReader(): ReadText {
  const texts = new Map<string, string | undefined>();
  return (file) => {
    if (!texts.has(file)) texts.set(file, readOrNothing(file));
    return texts.get(file);
  };
}

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
