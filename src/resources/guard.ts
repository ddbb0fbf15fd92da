import { isRecord } from "./fields.ts";
import type { Resource } from "./resource.ts";

/** An object that guards access and that this version cannot enforce: what it may cover is closed while it stands (design §9). */
export type GuardResource = Resource<
  "Guard",
  {
    readonly kind: string;
    /** Null: it may cover everything. */
    readonly rules: readonly GuardRule[] | null;
  }
>;

/** Where a rule begins to hold: globs, as Edge Stack writes them. `*` is anything. */
export interface GuardRule {
  readonly host: string;
  readonly path: string;
}

/** Which requests the rules of a FilterPolicy send through filters; null where that cannot be read with certainty. */
export function guardRules(spec: Readonly<Record<string, unknown>>): GuardRule[] | null {
  const { rules } = spec;
  if (!Array.isArray(rules) || rules.length === 0) return null;
  const found: GuardRule[] = [];
  for (const rule of rules) {
    if (!isRecord(rule)) return null;
    const { host = "*", path = "*", filters } = rule;
    if (typeof host !== "string" || typeof path !== "string" || host === "" || path === "") return null;
    // A rule without filters lets its requests through: it takes nothing from what the other rules cover.
    if (filters === null || (Array.isArray(filters) && filters.length === 0)) continue;
    found.push({ host: host.toLowerCase(), path });
  }
  return found;
}
