import type { PathMatch, RedirectAction } from "../../model/route.ts";
import { rewritePath } from "./path-rewrite.ts";

/** Where a redirect points; null where the path it makes would climb above the root. `path` has its query. */
export function redirectLocation(
  action: RedirectAction,
  match: PathMatch,
  path: string,
  scheme: "http" | "https",
): string | null {
  const target = redirectPath(action.path, match, path);
  return target === null ? null : `${action.scheme ?? scheme}://${action.host}${target}`;
}

function redirectPath(change: RedirectAction["path"], match: PathMatch, path: string): string | null {
  if (change?.kind !== "path") return rewritePath(path, match, change);
  const queryAt = path.indexOf("?");
  // As Envoy does: the request's query goes along unless the new path brings its own.
  const query = queryAt === -1 || change.value.includes("?") ? "" : path.slice(queryAt);
  return (change.value.startsWith("/") ? change.value : `/${change.value}`) + query;
}
