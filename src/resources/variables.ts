import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { positionOf, type RawObject } from "./resource.ts";

/** 1.14 put environment variables into the whole text (reference §2.1); who relied on it is told, once for each field. */
export function variableFindings(
  spec: Readonly<Record<string, unknown>>,
  raw: RawObject,
  subject: Subject,
): Diagnostic[] {
  return Object.entries(spec).flatMap(([field, value]) => {
    const variable = variableIn(value);
    if (variable === null) return [];
    const source = positionOf({ raw }, field);
    const message = `${field}: ${variable} stands as it is written; 1.14 put the environment's value there, if it had one`;
    return [diagnose("variable-not-expanded", { subject, source, message })];
  });
}

function variableIn(value: unknown): string | null {
  if (typeof value === "string") return VARIABLE.exec(value)?.[0] ?? null;
  if (typeof value !== "object" || value === null) return null;
  for (const inner of Object.values(value)) {
    const found = variableIn(inner);
    if (found !== null) return found;
  }
  return null;
}

/** As Python's os.path.expandvars has them. */
const VARIABLE = /\$(?:\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)/;
