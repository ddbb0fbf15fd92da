import { type Document, isMap, isScalar, LineCounter, parseAllDocuments, type YAMLMap } from "yaml";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import { isRecord } from "./fields.ts";
import type { RawObject } from "./resource.ts";

/** The annotation of a Service or an Ingress that holds objects of Ambassador (reference §1). */
export const CONFIG_ANNOTATION = "getambassador.io/config";

/**
 * The objects in an annotation, as if each were a document of its own: fields that stand flat come into `spec`, the
 * namespace is that of the object around. What cannot be read is said of that object and costs no other.
 */
export function readAnnotation(
  text: unknown,
  subject: Subject,
  raw: RawObject,
): { objects: RawObject[]; diagnostics: Diagnostic[] } {
  const place = placer(raw);
  const objects: RawObject[] = [];
  const diagnostics: Diagnostic[] = [];
  const refuse = (message: string, source: SourcePosition): void => {
    diagnostics.push(diagnose("annotation-invalid", { subject, source, message }));
  };
  if (typeof text !== "string") {
    refuse(`${CONFIG_ANNOTATION} must be text`, place(1, 1));
    return { objects, diagnostics };
  }
  const lines = new LineCounter();
  const at = (offset: number): SourcePosition => {
    const { line, col } = lines.linePos(offset);
    return place(Math.max(1, line), Math.max(1, col));
  };
  try {
    for (const document of parseAllDocuments(text, { ...OPTIONS, lineCounter: lines })) {
      const [error] = document.errors;
      if (error !== undefined) {
        // The library's sentence may quote what stands there; its code does not.
        const code = error.code.toLowerCase().replaceAll("_", " ");
        refuse(`a document in ${CONFIG_ANNOTATION} is no YAML that can be read: ${code}`, at(error.pos[0]));
        continue;
      }
      if (document.contents === null) continue;
      const source = at(document.contents.range?.[0] ?? 0);
      const value = document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown;
      if (value === null || value === undefined) continue;
      const lifted = isRecord(value) ? lift(value, subject.namespace) : null;
      if (lifted === null) refuse(`a document in ${CONFIG_ANNOTATION} is no object of Ambassador`, source);
      else objects.push({ value: lifted, source, fields: positions(document, at) });
    }
  } catch {
    // Aliases that expand without bound, or nesting that exhausts the stack.
    refuse(`${CONFIG_ANNOTATION} is nested too deeply, or has too many aliases`, place(1, 1));
  }
  return { objects, diagnostics };
}

const MAX_ALIASES = 100;
const OPTIONS = { uniqueKeys: true, prettyErrors: false, logLevel: "silent" } as const;

/** Null for what is none of Ambassador's: a Secret, for one, has no business here. */
function lift(value: Readonly<Record<string, unknown>>, namespace: string): Record<string, unknown> | null {
  const { apiVersion, kind, name, namespace: written, metadata, ...rest } = value;
  const version = /^(?:getambassador\.io|ambassador)\/(\S+)$/.exec(String(apiVersion))?.[1];
  if (version === undefined) return null;
  const identity = isRecord(metadata) ? metadata : { name, namespace: written };
  return {
    apiVersion: `getambassador.io/${version}`,
    kind,
    metadata: { ...identity, namespace: identity.namespace ?? namespace },
    spec: isRecord(metadata) && isRecord(rest.spec) ? rest.spec : rest,
  };
}

/** Lines and columns in the annotation to those in the file; the annotation's own place where its lines are not the file's. */
function placer(raw: RawObject): (line: number, column: number) => SourcePosition {
  const path = `metadata.annotations.${CONFIG_ANNOTATION}`;
  const key = raw.fields.get(path) ?? raw.fields.get("metadata.annotations") ?? raw.source;
  const literal = raw.fields.get(`${path}|`);
  if (literal === undefined) return () => key;
  // Two more than its key is how far a block is indented, almost always.
  return (line, column) => ({ ...key, line: literal.line + line, column: key.column + 1 + column });
}

/** Keys of the flat object, by the path that they have once it is lifted. */
function positions(document: Document, at: (offset: number) => SourcePosition): Map<string, SourcePosition> {
  const found = new Map<string, SourcePosition>();
  const visit = (map: YAMLMap, prefix: string, depth: number): void => {
    for (const { key, value } of map.items) {
      if (!isScalar(key) || key.range == null) continue;
      const path = `${prefix}${String(key.value)}`;
      found.set(path, at(key.range[0]));
      if (!ENVELOPE.has(path)) found.set(`spec.${path}`, at(key.range[0]));
      if (depth < DEPTH && isMap(value)) visit(value, `${path}.`, depth + 1);
    }
  };
  if (isMap(document.contents)) visit(document.contents, "", 1);
  return found;
}

const DEPTH = 3;
const ENVELOPE = new Set(["apiVersion", "kind", "metadata", "name", "namespace", "spec"]);

/** The annotation of a Service or an Ingress; undefined where there is none. */
export function annotationOf(raw: RawObject): unknown {
  const { kind, metadata } = isRecord(raw.value) ? raw.value : {};
  if (kind !== "Service" && kind !== "Ingress") return undefined;
  const annotations = isRecord(metadata) ? metadata.annotations : undefined;
  return isRecord(annotations) ? (annotations[CONFIG_ANNOTATION] ?? undefined) : undefined;
}
