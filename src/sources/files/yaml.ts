import { type Document, isMap, isScalar, LineCounter, parseAllDocuments, type YAMLMap } from "yaml";
import { diagnose } from "../../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition } from "../../diagnostics/diagnostic.ts";
import type { RawObject } from "../../resources/resource.ts";

export interface ParsedFile {
  readonly objects: readonly RawObject[];
  readonly diagnostics: readonly Diagnostic[];
  /** false: some document could not be read, so what it held is not known. */
  readonly complete: boolean;
}

/**
 * Reads every document of a YAML (or JSON) text. Never throws; a document that is broken, ambiguous or too large is
 * reported and the others are read. YAML 1.2 core schema, no merge keys, each key once.
 */
export function parseYaml(file: string, text: string): ParsedFile {
  const diagnostics: Diagnostic[] = [];
  const objects: RawObject[] = [];
  const report = (
    code: "yaml-syntax" | "yaml-ambiguous" | "document-too-large",
    message: string,
    at: SourcePosition,
  ): void => {
    diagnostics.push(
      diagnose(code, { subject: { kind: "File", namespace: "", name: file }, source: at, message }),
    );
  };
  const start = { file, line: 1, column: 1 };
  const tooLong = text.split(/^---/m).some((document) => document.length > MAX_DOCUMENT_CHARACTERS);
  if (tooLong) {
    report("document-too-large", `a document is longer than ${MAX_DOCUMENT_CHARACTERS} characters`, start);
    return { objects, diagnostics, complete: false };
  }
  const lines = new LineCounter();
  const positionAt = (offset: number): SourcePosition => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  let complete = true;
  try {
    for (const document of parseAllDocuments(text, {
      lineCounter: lines,
      uniqueKeys: true,
      prettyErrors: false,
      logLevel: "silent",
    })) {
      const [error] = document.errors;
      if (error !== undefined) {
        complete = false;
        // The library's own sentence may quote the line; its first words do, too, in none of the codes seen.
        report(
          error.code === "DUPLICATE_KEY" ? "yaml-ambiguous" : "yaml-syntax",
          firstLine(error.message),
          positionAt(error.pos[0]),
        );
        continue;
      }
      if (document.contents === null) continue;
      const value = document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown;
      if (value === null || value === undefined) continue;
      objects.push({
        value,
        source: positionAt(document.contents.range?.[0] ?? 0),
        fields: positions(document, positionAt),
      });
    }
  } catch (error) {
    // Too many aliases, or nesting that exhausts the stack: the only two ways the library throws.
    complete = false;
    const deep = error instanceof RangeError;
    report(
      deep ? "yaml-syntax" : "yaml-ambiguous",
      deep ? "nested too deeply" : "aliases expand without bound",
      start,
    );
  }
  return { objects, diagnostics, complete };
}

/** Room for a Secret, which Kubernetes bounds at 1 MiB, in base64. */
const MAX_DOCUMENT_CHARACTERS = 2 * 1024 * 1024;
const MAX_ALIASES = 100;
/** How deep positions are kept: `spec.config.service_port`. */
const DEPTH = 3;

function positions(
  document: Document,
  positionAt: (offset: number) => SourcePosition,
): Map<string, SourcePosition> {
  const found = new Map<string, SourcePosition>();
  const visit = (map: YAMLMap, prefix: string, depth: number): void => {
    for (const { key, value } of map.items) {
      if (!isScalar(key) || key.range == null) continue;
      const path = `${prefix}${String(key.value)}`;
      found.set(path, positionAt(key.range[0]));
      if (isScalar(value) && value.type === "BLOCK_LITERAL" && value.range != null)
        found.set(`${path}|`, positionAt(value.range[0]));
      // Keys below `data` name secrets; nobody needs their places.
      if (depth < DEPTH && isMap(value) && path !== "data" && path !== "stringData")
        visit(value, `${path}.`, depth + 1);
    }
  };
  if (isMap(document.contents)) visit(document.contents, "", 1);
  return found;
}

function firstLine(message: string): string {
  const [line] = message.split("\n");
  return (line ?? "").slice(0, 120);
}
