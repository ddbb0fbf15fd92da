import { isMap, isNode, isSeq, type Node, type YAMLMap } from "yaml";
import { diagnose } from "../../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition } from "../../diagnostics/diagnostic.ts";
import type { RawObject } from "../../resources/resource.ts";
import { splitDocuments } from "./documents.ts";
import { readPlain } from "./plain-yaml.ts";
import { composeDocument, type DocumentProblem } from "./yaml-document.ts";
import { type DocumentValue, readItems, readValue } from "./yaml-value.ts";

export interface ParsedFile {
  readonly objects: readonly RawObject[];
  /** Of each object, the text of its document and where that stands: the same text in the same place is the same object. */
  readonly keys: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
  /** false: some document could not be read, so what it held is not known. */
  readonly complete: boolean;
}

/**
 * Reads every document of a YAML (or JSON) text by itself. Never throws; a document that is broken, ambiguous or too large
 * is reported at the place in question, and the others are read. `recall` gives objects of an earlier reading by their
 * keys, so that one changed document among thousands costs no more than itself.
 */
export function parseYaml(
  file: string,
  written: string,
  recall: (key: string) => RawObject | undefined = () => undefined,
): ParsedFile {
  const text = withoutMarks(written);
  const positionAt = positions(file, text);
  const objects: RawObject[] = [];
  const keys: string[] = [];
  const diagnostics: Diagnostic[] = [];
  const report = ({ code, message, offset, other }: DocumentProblem, start: number): void => {
    const elsewhere = other === undefined ? "" : `, first on line ${positionAt(start + other).line}`;
    diagnostics.push(
      diagnose(code, {
        subject: { kind: "File", namespace: "", name: file },
        source: positionAt(start + offset),
        message: `${message}${elsewhere}`,
      }),
    );
  };
  const rawObject = ({ value, fields }: DocumentValue, offset: number, at: number): RawObject => ({
    value,
    source: positionAt(offset + at),
    fields: new Map([...fields].map(([path, place]) => [path, positionAt(offset + place)])),
  });
  for (const { text: document, offset } of splitDocuments(text)) {
    const key = `${positionAt(offset).line} ${document}`;
    const known = recall(key);
    if (known !== undefined) {
      objects.push(known);
      keys.push(key);
      continue;
    }
    const plain = readPlain(document);
    if (plain !== null) {
      keys.push(key);
      objects.push(rawObject(plain, offset, plain.offset));
      continue;
    }
    const composed = composeDocument(document);
    if (composed === null) continue;
    if ("code" in composed) {
      report(composed, offset);
      continue;
    }
    const { contents } = composed;
    if (contents === null) continue;
    const read = readValue(contents);
    if ("code" in read) {
      report(read, offset);
      continue;
    }
    if (read.value === null) continue;
    const items = listItems(contents);
    if (items !== null) {
      // What `kubectl get -o yaml` writes. No key: its text may hold Secrets, and is not kept.
      for (const [index, inner] of readItems(contents as YAMLMap, items).entries()) {
        keys.push("");
        objects.push(rawObject(inner, offset, items[index]?.range?.[0] ?? 0));
      }
      continue;
    }
    keys.push(key);
    objects.push(rawObject(read, offset, contents.range[0]));
  }
  return { objects, keys, diagnostics, complete: diagnostics.length === 0 };
}

/**
 * Byte order marks at the starts of lines, where files that begin with one were put together. No text of a map stands at the
 * start of a line, so none loses a character.
 */
function withoutMarks(text: string): string {
  return text.includes("\uFEFF") ? text.replace(/(^|\n)\uFEFF/g, "$1") : text;
}

/** The objects of a v1 List; null where the document is none, or has something else in their place: it is read as an object then, and reported. */
function listItems(contents: Node): readonly Node[] | null {
  if (!isMap(contents) || contents.get("kind") !== "List" || contents.get("apiVersion") !== "v1") return null;
  const items = contents.get("items", true);
  if (isSeq(items)) return items.items.filter(isNode);
  return contents.get("items") == null ? [] : null;
}

/** Line and column by offset; a line ends at LF, as the library has it. */
function positions(file: string, text: string): (offset: number) => SourcePosition {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] as number) <= offset) low = middle;
      else high = middle;
    }
    return { file, line: low + 1, column: offset - (starts[low] as number) + 1 };
  };
}
