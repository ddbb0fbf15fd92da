/** What a person did that Credence cannot, or should not, follow as written, and what became of it. */
export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  /** What Credence did about it. */
  readonly effect: Effect;
  readonly subject: Subject;
  readonly source?: SourcePosition;
  /** What is wrong, with the values concerned; never key material. One sentence. */
  readonly message: string;
  /** What to do about it. One sentence, imperative. */
  readonly remedy: string;
}

export type Severity = "error" | "warning" | "info";

export type Effect =
  | "object-ignored"
  | "field-ignored"
  | "route-fails-closed"
  | "host-refused"
  | "connections-refused"
  | "kept-previous"
  | "informational";

/** Key of CATALOGUE in catalogue.ts. */
export type DiagnosticCode = string;

export interface Subject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Line and column count from 1. */
export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}
