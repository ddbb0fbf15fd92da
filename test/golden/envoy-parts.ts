/**
 * Most of what a case comes to on Envoy is the same in every case: filters, TLS defaults. Such parts are written once, in
 * envoy-parts.json, and cases name them: a change of one is one diff, and a case shows what is its own.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface Split {
  readonly parts: Readonly<Record<string, Json>>;
  readonly cases: ReadonlyMap<string, Json>;
}

const REFERENCE = "part";
/** Shorter ones are as easily read where they stand. */
const SHORTEST = 200;
/** Of how many cases a part has to be. */
const RAREST = 3;

/** Takes out what several cases have in common. Names are a part's key, and numbers in the order of the cases. */
export function split(cases: ReadonlyMap<string, Json>): Split {
  const common = commonTexts(cases);
  const parts = new Map<string, Json>();
  const names = new Map<string, string>();
  const numbers = new Map<string, number>();
  const replace = (value: Json, key: string): Json => {
    if (value === null || typeof value !== "object") return value;
    const text = JSON.stringify(value);
    if (!common.has(text)) return inside(value, key);
    const known = names.get(text);
    if (known !== undefined) return { [REFERENCE]: known };
    const number = (numbers.get(key) ?? 0) + 1;
    numbers.set(key, number);
    const name = `${key} ${number}`;
    names.set(text, name);
    parts.set(name, inside(value, key));
    return { [REFERENCE]: name };
  };
  const inside = (value: Json, key: string): Json => {
    if (Array.isArray(value)) return value.map((each) => replace(each, key));
    return Object.fromEntries(
      Object.entries(value as Record<string, Json>).map(([inner, each]) => [inner, replace(each, inner)]),
    );
  };
  const split = new Map([...cases].map(([name, value]) => [name, inside(value, "resources")]));
  return { parts: Object.fromEntries([...parts].sort(([a], [b]) => (a < b ? -1 : 1))), cases: split };
}

/** A case as it was before `split`. */
export function join(value: Json, parts: Split["parts"]): Json {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((each) => join(each, parts));
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only?.[0] === REFERENCE && typeof only[1] === "string") {
    const part = parts[only[1]];
    if (part === undefined) throw new Error(`envoy-parts.json has no ${only[1]}`);
    return join(part, parts);
  }
  return Object.fromEntries(entries.map(([key, each]) => [key, join(each, parts)]));
}

function commonTexts(cases: ReadonlyMap<string, Json>): ReadonlySet<string> {
  const counts = new Map<string, number>();
  const visit = (value: Json, found: Set<string>): void => {
    if (value === null || typeof value !== "object") return;
    const text = JSON.stringify(value);
    if (text.length < SHORTEST) return;
    found.add(text);
    for (const each of Object.values(value)) visit(each, found);
  };
  for (const value of cases.values()) {
    const found = new Set<string>();
    visit(value, found);
    for (const text of found) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return new Set([...counts].filter(([, count]) => count >= RAREST).map(([text]) => text));
}
