import { RE2JS } from "re2js";
import type { PathMatch, PathRewrite } from "../../model/route.ts";
import { normalisePath } from "./http1/path.ts";

/**
 * The path to send, query included; null where the rewritten one would climb above the root. `path` has the form that
 * was matched, with its query.
 */
export function rewritePath(path: string, match: PathMatch, rewrite: PathRewrite | undefined): string | null {
  if (rewrite === undefined) return path;
  const queryAt = path.indexOf("?");
  const pathname = queryAt === -1 ? path : path.slice(0, queryAt);
  const query = queryAt === -1 ? "" : path.slice(queryAt);
  const rewritten = rewritePathname(pathname, match, rewrite);
  const rooted = rewritten.startsWith("/") ? rewritten : `/${rewritten}`;
  // `/a` rewritten to `/` makes `/../x` of `/a../x`: dot segments must not come back by this door.
  return normalisePath(rooted + query, REWRITTEN).path ?? null;
}

const REWRITTEN = { mergeSlashes: false, rejectEscapedSlashes: false, isRewritten: true } as const;

function rewritePathname(pathname: string, match: PathMatch, rewrite: PathRewrite): string {
  if (rewrite.kind === "regex") return substitute(pathname, patternOf(rewrite), rewrite.substitution);
  // Envoy replaces what was matched: the whole path, where that is what the match is about.
  return match.kind === "prefix" ? rewrite.value + pathname.slice(match.value.length) : rewrite.value;
}

/** Replaces each match, as RE2's GlobalReplace does: `\1` is a group, `\0` the match, `\\` a backslash. */
function substitute(text: string, pattern: RE2JS, substitution: string): string {
  const matcher = pattern.matcher(text);
  let out = "";
  let from = 0;
  while (matcher.find()) {
    out += text.slice(from, matcher.start());
    out += substitution.replace(/\\(\d|\\)/g, (_, what: string) => {
      if (what === "\\") return "\\";
      const group = Number(what);
      return group > matcher.groupCount() ? "" : (matcher.group(group) ?? "");
    });
    from = matcher.end();
  }
  return out + text.slice(from);
}

/** Rewrites are part of a model, and made ready once. */
const patterns = new WeakMap<PathRewrite, RE2JS>();

function patternOf(rewrite: Extract<PathRewrite, { kind: "regex" }>): RE2JS {
  let found = patterns.get(rewrite);
  if (found === undefined) {
    found = RE2JS.compile(rewrite.pattern);
    patterns.set(rewrite, found);
  }
  return found;
}
