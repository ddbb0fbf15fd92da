import type { Diagnostic, Effect } from "./diagnostic.ts";

/** Reads a file's text for the frame, or undefined where it cannot be had. */
export type ReadText = (file: string) => string | undefined;

/** One finding as a person reads it: place, what, the YAML around it, what was done, what to do. */
export function renderText(diagnostic: Diagnostic, readText: ReadText, colour = false): string {
  const { severity, code, subject, source, message } = diagnostic;
  const paint = (style: number, text: string): string => (colour ? `\x1b[${style}m${text}\x1b[0m` : text);
  const place = source === undefined ? "" : `${source.file}:${source.line}:${source.column}`;
  const object =
    subject.name === "" || subject.kind === "File"
      ? ""
      : ` ${subject.kind} ${subject.name} (namespace ${subject.namespace})`;
  const lines = [
    `${paint(1, place)}${place === "" ? "" : ": "}${paint(STYLES[severity], severity)} ${paint(1, code)}${object}`,
    `  ${message}`,
  ];
  const text = source === undefined ? undefined : readText(source.file);
  if (source !== undefined && text !== undefined) lines.push(...frame(text, source.line, source.column));
  lines.push(
    `  ${paint(2, "did:")}  ${EFFECTS[diagnostic.effect]}`,
    `  ${paint(2, "mend:")} ${diagnostic.remedy}`,
  );
  return lines.join("\n");
}

/** The stable JSON shape of findings (design §9). */
export function renderJson(diagnostics: readonly Diagnostic[]): {
  version: 1;
  diagnostics: readonly Diagnostic[];
  summary: { errors: number; warnings: number };
} {
  const count = (severity: Diagnostic["severity"]): number =>
    diagnostics.filter((found) => found.severity === severity).length;
  return { version: 1, diagnostics, summary: { errors: count("error"), warnings: count("warning") } };
}

/** By file, line and code, so that one list can be read beside the files. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const key = ({ source, code, subject, message }: Diagnostic): string =>
    [
      source?.file ?? "",
      String(source?.line ?? 0).padStart(9, "0"),
      code,
      subject.namespace,
      subject.name,
      message,
    ].join("\0");
  return diagnostics
    .map((diagnostic) => ({ diagnostic, key: key(diagnostic) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ diagnostic }) => diagnostic);
}

const STYLES = { error: 31, warning: 33, info: 36 } as const;

const EFFECTS: Readonly<Record<Effect, string>> = {
  "object-ignored": "the object is ignored, everything else is served",
  "field-ignored": "the field is ignored",
  "route-fails-closed": "the routes that depend on it answer 503, every other route is served",
  "host-refused": "handshakes for the host are refused, every other host is served",
  "connections-refused": "connections that it takes are closed, everything else is served",
  "kept-previous": "what was in use before stays, if anything was",
  informational: "nothing, it is only said",
};

const CONTEXT_LINES = 2;

/** Findings come sorted by file: the lines of the last one are kept, as a large file may have thousands of them. */
let split: { readonly text: string; readonly lines: readonly string[] } = { text: "", lines: [""] };

function linesOf(text: string): readonly string[] {
  if (split.text !== text) split = { text, lines: text.split(/\r?\n/) };
  return split.lines;
}

/**
 * Lines of the finding's own document around the place, with a caret. Whatever could be a key is masked: in a document
 * that speaks of a Secret all values, elsewhere long runs of base64.
 */
function frame(text: string, line: number, column: number): string[] {
  const all = linesOf(text);
  let start = line;
  while (start > 1 && !/^---/.test(all[start - 1] ?? "")) start--;
  let end = line;
  while (end < all.length && !/^(?:---|\.\.\.)/.test(all[end] ?? "")) end++;
  const first = Math.max(start, line - CONTEXT_LINES);
  const last = Math.min(end, line + CONTEXT_LINES);
  const width = String(last).length;
  const isSecret = all.slice(start - 1, end).some((content) => SPEAKS_OF_SECRETS.test(content));
  const lines: string[] = [];
  for (let number = first; number <= last; number++) {
    const content = all[number - 1] ?? "";
    const shown = isSecret || KEY_LIKE.test(content) ? masked(content) : content.slice(0, 160);
    lines.push(`  ${number === line ? ">" : " "} ${String(number).padStart(width)} | ${shown}`);
    if (number === line) lines.push(`    ${" ".repeat(width)} | ${" ".repeat(Math.min(column, 160) - 1)}^`);
  }
  return lines;
}

/** A file's path that ends so is none. */
const SPEAKS_OF_SECRETS =
  /kind["']?\s*:\s*["']?Secret|stringData|(?<![\w/-])(?:tls\.key|key\.pem)|PRIVATE KEY/;
const KEY_LIKE = /[A-Za-z0-9+/=]{40}/;

/** Only a plain line of the envelope stays whole; of others, at most the name of a key. */
function masked(line: string): string {
  if (
    /^\s*(?:apiVersion|kind|metadata|name|namespace|type|data|stringData)\s*:\s*[A-Za-z0-9./_-]{0,63}\s*$/.test(
      line,
    )
  )
    return line;
  if (/^---\s*$/.test(line)) return line;
  const key = /^(\s*["']?[A-Za-z0-9._-]{1,32}["']?\s*:)(?:\s|$)/.exec(line);
  return key === null
    ? line.replace(/\S.*/, "***")
    : `${key[1]}${line.length > (key[1] as string).length ? " ***" : ""}`;
}
