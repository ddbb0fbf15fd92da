import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { isRecord } from "./fields.ts";
import type { RawObject } from "./resource.ts";

/** What stands where a private key stood. It is no name, path or host, so whatever depends on it fails closed. */
export const WITHHELD = "(private key withheld)";

/**
 * The object without the private keys that somebody pasted where none belongs: names and values reach findings, pages and
 * the model, and a key must not. Where a Secret holds keys they stay.
 */
export function withholdKeys(raw: RawObject): { raw: RawObject; diagnostics: Diagnostic[] } {
  const paths: string[] = [];
  const value = withoutKeys(raw.value, "", isSecret(raw.value), new Map(), paths);
  if (paths.length === 0) return { raw, diagnostics: [] };
  const subject = subjectIn(value);
  const diagnostics = paths.map((path) => {
    const source = placeOf(path, raw);
    const message = `${path} is a private key, which is not read there`;
    return diagnose("private-key-misplaced", { subject, source, message });
  });
  return { raw: { ...raw, value }, diagnostics };
}

function withoutKeys(
  value: unknown,
  path: string,
  inSecret: boolean,
  known: Map<object, unknown>,
  found: string[],
): unknown {
  if (typeof value === "string") {
    if (!IS_KEY.test(value)) return value;
    found.push(path === "" ? "the document" : path);
    return WITHHELD;
  }
  if (typeof value !== "object" || value === null) return value;
  // Aliases lead to one object from many places.
  const before = known.get(value);
  if (before !== undefined) return before;
  known.set(value, value);
  const count = found.length;
  const under = (key: string): string => (path === "" ? key : `${path}.${key}`);
  const copy = Array.isArray(value)
    ? value.map((item, index) => withoutKeys(item, `${path}[${index}]`, false, known, found))
    : Object.fromEntries(
        Object.entries(value).map(([key, item]) => {
          if (inSecret && (key === "data" || key === "stringData")) return [key, item];
          const name = IS_KEY.test(key) ? WITHHELD : key;
          if (name !== key) found.push(`a name in ${path === "" ? "the document" : path}`);
          return [name, withoutKeys(item, under(name), false, known, found)];
        }),
      );
  if (found.length === count) return value;
  known.set(value, copy);
  return copy;
}

const IS_KEY = /-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----/;

function isSecret(value: unknown): boolean {
  return isRecord(value) && value.kind === "Secret" && value.apiVersion === "v1";
}

function subjectIn(value: unknown): Subject {
  const { kind, metadata } = isRecord(value) ? value : {};
  const { name, namespace } = isRecord(metadata) ? metadata : {};
  const text = (part: unknown, otherwise: string): string =>
    typeof part === "string" && part !== "" ? part : otherwise;
  return { kind: text(kind, "Object"), namespace: text(namespace, "default"), name: text(name, "") };
}

/** Positions are kept a few levels deep: the nearest one above. */
function placeOf(path: string, { fields, source }: RawObject): RawObject["source"] {
  for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.search(/[.[][^.[]*$/)))) {
    const place = fields.get(at);
    if (place !== undefined) return place;
  }
  return source;
}
