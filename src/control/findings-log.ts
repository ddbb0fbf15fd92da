import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { sortDiagnostics } from "../diagnostics/render.ts";
import type { Logger } from "../telemetry/logger.ts";

/**
 * Each finding once in the log, when it appears and when it is gone. Thousands may stay while one credential after another
 * rotates: only what is not the same object as before is looked at.
 */
export class FindingsLog {
  readonly #logger: Logger;
  #last: readonly Diagnostic[] = [];
  /** All that stand, with their texts. */
  #standing: ReadonlyMap<Diagnostic, string> = new Map();
  /** How many of them say the same, and how many are about the same. */
  readonly #texts = new Map<string, number>();
  readonly #subjects = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Given all findings that stand now. */
  tell(findings: readonly Diagnostic[]): void {
    if (isSameList(findings, this.#last)) return;
    const before = this.#standing;
    const now = new Map<Diagnostic, string>();
    const said: Diagnostic[] = [];
    for (const found of findings) {
      if (now.has(found)) continue;
      const known = before.get(found);
      const text = known ?? JSON.stringify(found);
      now.set(found, text);
      if (known !== undefined) continue;
      count(this.#subjects, aboutWhat(found), 1);
      if (count(this.#texts, text, 1) === 1) said.push(found);
    }
    // After what has come: who says the same, or something about the same, takes the place of what is gone.
    const gone: Diagnostic[] = [];
    for (const [found, text] of before) {
      if (now.has(found)) continue;
      count(this.#subjects, aboutWhat(found), -1);
      if (count(this.#texts, text, -1) === 0) gone.push(found);
    }
    this.#last = findings;
    this.#standing = now;
    for (const found of sortDiagnostics(said))
      this.#logger[LEVELS[found.severity]](logFields(found), found.message);
    for (const found of sortDiagnostics(gone))
      if (!this.#subjects.has(aboutWhat(found)))
        this.#logger.info(logFields(found), `no longer: ${found.message}`);
  }
}

const LEVELS = { error: "error", warning: "warn", info: "info" } as const;

function isSameList(a: readonly Diagnostic[], b: readonly Diagnostic[]): boolean {
  return a.length === b.length && a.every((found, index) => found === b[index]);
}

/** Returns how many there are then. */
function count(counts: Map<string, number>, key: string, more: 1 | -1): number {
  const sum = (counts.get(key) ?? 0) + more;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
  return sum;
}

function logFields({ code, effect, subject, source, remedy }: Diagnostic): Record<string, unknown> {
  const place = source === undefined ? undefined : `${source.file}:${source.line}:${source.column}`;
  const object =
    subject.kind === "File" ? subject.name : `${subject.kind}/${subject.namespace}/${subject.name}`;
  return { code, effect, object, place, remedy };
}

/** The same finding at another place is still that finding. */
function aboutWhat({ code, subject }: Diagnostic): string {
  return `${code} ${subject.kind}/${subject.namespace}/${subject.name}`;
}
