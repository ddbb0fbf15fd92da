import type { Severity, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import { MIGRATIONS, type MigrationCode } from "./catalogue.ts";

/** One place where 1.14 and Credence part ways. */
export interface MigrationFinding {
  readonly code: MigrationCode;
  readonly severity: Severity;
  readonly subject: Subject;
  readonly source?: SourcePosition;
  /** Further places of the same, where one finding stands for several. */
  readonly also: readonly SourcePosition[];
  /** What 1.14 did with it. One sentence, as the next. */
  readonly before: string;
  /** What Credence does with it as it stands. */
  readonly now: string;
  /** Null: nothing need be done. */
  readonly edit: Edit | null;
}

/** The smallest change that keeps, or betters, what is wanted. */
export interface Edit {
  /** Imperative. */
  readonly what: string;
  /** The fields or the object to write; empty where something is to be taken out. */
  readonly yaml: string;
}

/** Something that was written: an object, or where it stands. */
export interface Written {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly raw: { readonly source: SourcePosition; readonly fields: ReadonlyMap<string, SourcePosition> };
}

export interface Reported {
  readonly at: Written;
  /** Of the spec; the object itself where it is left out, or not written. */
  readonly field?: string;
  readonly also?: readonly Written[];
  readonly before: string;
  readonly now: string;
  readonly edit?: Edit;
  readonly severity?: Severity;
}

/** How rules say what they have found. */
export type Report = (code: MigrationCode, found: Reported) => void;

/** A list, and the function that adds to it. */
export function findings(): { readonly found: MigrationFinding[]; readonly report: Report } {
  const found: MigrationFinding[] = [];
  return {
    found,
    report(code, { at, field, also = [], before, now, edit, severity }) {
      const { kind, namespace, name, raw } = at;
      found.push({
        code,
        severity: severity ?? MIGRATIONS[code],
        subject: { kind, namespace, name },
        source: raw.fields.get(`spec.${field}`) ?? raw.source,
        also: also.map((other) => other.raw.source),
        before,
        now,
        edit: edit ?? null,
      });
    },
  };
}
