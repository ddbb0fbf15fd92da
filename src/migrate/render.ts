import type { Severity } from "../diagnostics/diagnostic.ts";
import type { MigrationFinding } from "./finding.ts";

/** The JSON of `credence migrate`; docs/migrating.md describes it. Fields are added, never changed. */
export interface MigrationJson {
  readonly version: 1;
  readonly findings: readonly MigrationFinding[];
  readonly summary: { readonly errors: number; readonly warnings: number; readonly infos: number };
}

/** The findings as `--format json` has them. */
export function migrationJson(findings: readonly MigrationFinding[]): MigrationJson {
  const count = (severity: Severity): number =>
    findings.filter((found) => found.severity === severity).length;
  return {
    version: 1,
    findings,
    summary: { errors: count("error"), warnings: count("warning"), infos: count("info") },
  };
}

/** One finding as a person reads it: place, what was, what is, what to write. */
export function migrationText(finding: MigrationFinding, colour: boolean): string {
  const paint = (style: number, text: string): string => (colour ? `\x1b[${style}m${text}\x1b[0m` : text);
  const { source, also, severity, code, subject, before, now, edit } = finding;
  const place = source === undefined ? "" : `${paint(1, `${source.file}:${source.line}:${source.column}`)}: `;
  const others = also.map(({ file, line }) => `${file}:${line}`);
  return [
    `${place}${paint(STYLES[severity], severity)} ${paint(1, code)} ${subject.kind} ${subject.name} (namespace ${subject.namespace})`,
    `  ${paint(2, "1.14:    ")} ${before}`,
    `  ${paint(2, "Credence:")} ${now}`,
    `  ${paint(2, "edit:    ")} ${edit?.what ?? "None."}`,
    ...(edit === null || edit.yaml === ""
      ? []
      : edit.yaml
          .trimEnd()
          .split("\n")
          .map((line) => `      ${line}`)),
    ...(others.length === 0 ? [] : [`  ${paint(2, "also at: ")} ${shortened(others)}`]),
  ].join("\n");
}

const STYLES = { error: 31, warning: 33, info: 36 } as const;
const PLACES_SHOWN = 5;

function shortened(places: readonly string[]): string {
  const rest = places.length - PLACES_SHOWN;
  return rest <= 0 ? places.join(", ") : `${places.slice(0, PLACES_SHOWN).join(", ")} and ${rest} more`;
}
