import type { RouteMatch } from "../model/route.ts";
import type { GuardResource, GuardRule } from "../resources/guard.ts";

/** What the guards that cannot be enforced may cover: everything, or the requests of some rules. */
export type Guarded = "everything" | readonly GuardRule[];

/**
 * A Filter does nothing until a FilterPolicy names it, so where there are policies their rules say it all. Where a policy
 * cannot be read, or there are Filters alone, nobody can say what is covered.
 */
export function guardedBy(guards: readonly GuardResource[]): Guarded {
  const policies = guards.filter(({ spec }) => spec.kind === "FilterPolicy");
  const others = guards.filter(({ spec }) => spec.kind !== "FilterPolicy" && spec.kind !== "Filter");
  if (guards.length === 0) return [];
  if (others.length > 0 || policies.length === 0) return "everything";
  const rules: GuardRule[] = [];
  for (const { spec } of policies) {
    if (spec.rules === null) return "everything";
    rules.push(...spec.rules);
  }
  return rules;
}

/** Whether a request of this route could be one that a rule covers; false only where it certainly is not. */
export function mayBeGuarded(match: RouteMatch, guarded: Guarded): boolean {
  if (guarded === "everything") return true;
  return guarded.some((rule) => !hostsApart(match, rule.host) && !pathsApart(match, rule.path));
}

function hostsApart({ host, hostPattern }: RouteMatch, glob: string): boolean {
  if (host === undefined || hostPattern !== undefined) return false;
  // Whether a port counts in the glob is Edge Stack's secret: both readings must miss.
  return !matchesStars(host, glob) && !matchesStars(host.replace(/:\d+$/, ""), glob);
}

/** Only `*` is taken for a wildcard; a glob with other special characters may match anything. */
function matchesStars(text: string, glob: string): boolean {
  if (SPECIAL.test(glob)) return true;
  const parts = glob.split("*").map((part) => part.replace(/[.\\+^$()|/-]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(text);
}

/** Paths are compared up to the glob's first wildcard: the requests of both begin with what they have in common. */
function pathsApart({ path }: RouteMatch, glob: string): boolean {
  // What is normalised in one way only, or compared without case, cannot be told apart by its first letters.
  if (path.kind === "regex" || path.ignoreCase === true || !PLAIN.test(path.value)) return false;
  const wildcard = glob.search(/[*?[\]{}!\\]/);
  const literal = wildcard === -1 ? glob : glob.slice(0, wildcard);
  if (!PLAIN.test(literal)) return false;
  if (path.kind === "exact" && wildcard !== -1) return !path.value.startsWith(literal);
  if (path.kind === "exact") return path.value !== literal;
  if (wildcard === -1) return !literal.startsWith(path.value);
  return !path.value.startsWith(literal) && !literal.startsWith(path.value);
}

const SPECIAL = /[?[\]{}!\\]/;
/** Neither escapes nor doubled slashes, which two programs may read differently. */
const PLAIN = /^(?:\/|(?:\/[\w.~-]+)+\/?)?$/;
