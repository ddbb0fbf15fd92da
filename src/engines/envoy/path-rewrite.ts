import type { PathMatch, PathRewrite } from "../../model/route.ts";
import { escapeRegex } from "./route-match.ts";

/** A rewrite in Envoy's words. */
export type EnvoyPathRewrite =
  | { readonly kind: "none" }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "regex"; readonly pattern: string; readonly substitution: string }
  /** Nobody knows which path would go upstream. */
  | { readonly kind: "impossible" };

export interface RewritePlan {
  readonly rewrite: EnvoyPathRewrite;
  /**
   * A regular expression for the whole `:path`, query included: what it matches would have dot segments once rewritten,
   * and is answered 400. Envoy normalises a path before the match only. null: no path does.
   */
  readonly climbs: string | null;
}

/** How the path changes, and for which paths it may not: those that would climb above the root. */
export function envoyRewrite(rewrite: PathRewrite | undefined, match: PathMatch): RewritePlan {
  if (rewrite === undefined) return { rewrite: { kind: "none" }, climbs: null };
  if (rewrite.kind === "regex") {
    const { pattern, substitution } = rewrite;
    if (substitution.split("/").some((segment) => DOTS_AND_GROUPS.test(segment)))
      return { rewrite: { kind: "regex", pattern, substitution }, climbs: ".*" };
    // Which segments are cut where nobody can tell: none that ends in a dot goes through.
    return { rewrite: { kind: "regex", pattern, substitution }, climbs: "[^?]*\\.(?:[/?;].*)?" };
  }
  const value = rewrite.value === "" || rewrite.value.startsWith("/") ? rewrite.value : `/${rewrite.value}`;
  if (DOT_SEGMENT.test(value)) return { rewrite: { kind: "impossible" }, climbs: null };
  // The whole path is replaced, where that is what the match is about.
  if (match.kind !== "prefix") return { rewrite: { kind: "prefix", value: value || "/" }, climbs: null };
  const matched = match.ignoreCase === true ? `(?i:${escapeRegex(match.value)})` : escapeRegex(match.value);
  // `/a` rewritten to `/` makes `/../x` of `/a../x`.
  const opens = (value === "" || value.endsWith("/")) && !match.value.endsWith("/");
  const climbs = opens ? `${matched}\\.{1,2}(?:[/?;].*)?` : null;
  if (value !== "") return { rewrite: { kind: "prefix", value }, climbs };
  return { rewrite: { kind: "regex", pattern: `^${matched}/?`, substitution: "/" }, climbs };
}

const DOT_SEGMENT = /(?:^|\/)(?:\.|%2e){1,2}(?:[/;]|$)/i;
/** Of a substitution: a segment that is, or may come to be, one of dots. */
const DOTS_AND_GROUPS = /^(?:\\\d)*(?:\.|%2e)(?:\\\d|\.|%2e)*(?:;|$)/i;
