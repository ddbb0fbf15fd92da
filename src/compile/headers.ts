import { FORMAT_OPERATORS } from "../model/format.ts";
import type { HeaderAddition, HeaderChanges } from "../model/route.ts";
import type { MappingSpec } from "../resources/mapping.ts";

type Additions = MappingSpec["add_request_headers"];
type Removals = MappingSpec["remove_request_headers"];

/** What a group's additions and removals come to (reference §2.5.2); undefined where they change nothing. */
export function headerChanges(
  add: Additions,
  remove: Removals,
  own: readonly HeaderAddition[] = [],
): HeaderChanges | undefined {
  const removed = [...new Set(typeof remove === "string" ? [remove] : (remove ?? []))]
    .map((name) => name.toLowerCase())
    .sort();
  const added = [...Object.entries(add ?? {}).map(([name, value]) => addition(name, value)), ...own].sort(
    (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  if (removed.length === 0 && added.length === 0) return undefined;
  return {
    ...(removed.length === 0 ? {} : { remove: removed }),
    ...(added.length === 0 ? {} : { add: added }),
  };
}

function addition(name: string, value: NonNullable<Additions>[string]): HeaderAddition {
  if (typeof value !== "object") return { name, value: String(value), append: true };
  return { name, value: String(value.value), append: value.append ?? true };
}

/** The operators in a value that nobody here fills in: they go out as they are written. */
export function unknownOperators(value: string): string[] {
  return [...value.matchAll(/%(?:%|([^%]*)%?)/g)]
    .filter(([whole, name]) => whole !== "%%" && !(whole.endsWith("%") && OPERATORS.has(name ?? "")))
    .map(([whole]) => whole);
}

const OPERATORS: ReadonlySet<string> = new Set(FORMAT_OPERATORS);
