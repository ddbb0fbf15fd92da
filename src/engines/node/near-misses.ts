import type { PathMatch, Route, TextMatch } from "../../model/route.ts";
import { constraintsOf, type MatchedRequest, pathTest } from "./route-match.ts";

/** One thing that a route asks for and a request does not have. */
export interface Mismatch {
  readonly on: "path" | "host" | "method" | "header" | "query";
  /** Of the header or the query parameter. */
  readonly name?: string;
  /** A text, `~ pattern` for a regular expression, `present`. */
  readonly wanted: string;
  /** Null: the request has nothing there. */
  readonly got: string | null;
}

export interface JudgedRoute {
  readonly route: Route;
  /** Empty: the route takes the request. */
  readonly mismatches: readonly Mismatch[];
}

/**
 * Every route that has something to do with a request, in the order of precedence: those whose path takes it, and those
 * whose path fails by a slash or by case alone. The first without mismatches is the one that `RouteTable.find` finds;
 * a test holds the two together. For explanations: it looks at every route.
 */
export function judgeRoutes(routes: readonly Route[], path: string, request: MatchedRequest): JudgedRoute[] {
  const judged: JudgedRoute[] = [];
  for (const route of routes) {
    const { match } = route;
    const takesPath = pathTest(match.path)(path);
    if (!takesPath && !isNear(match.path, path)) continue;
    const mismatches: Mismatch[] = [];
    if (!takesPath) mismatches.push({ on: "path", wanted: pathText(match.path), got: path });
    if (match.host !== undefined && match.host !== request.host)
      mismatches.push({ on: "host", wanted: match.host, got: request.host });
    for (const { on, name, wanted, test, got } of constraintsOf(match)) {
      if (test(request)) continue;
      const named = name === undefined ? {} : { name };
      mismatches.push({ on, ...named, wanted: wantedText(wanted), got: got(request) });
    }
    judged.push({ route, mismatches });
  }
  return judged;
}

/** `/backend` for `/backend/`, `/Backend/` for `/backend/`: what people get wrong about a path. */
function isNear(match: PathMatch, path: string): boolean {
  if (match.kind === "regex") return false;
  const folded = pathTest({ ...match, ignoreCase: true });
  return folded(path) || folded(`${path}/`) || (match.kind === "exact" && folded(path.replace(/\/$/, "")));
}

/** A path as it is matched, e.g. `/a/*`, `= /a`, `~ /a[0-9]`. */
export function pathText({ kind, value, ignoreCase }: PathMatch): string {
  const text = kind === "prefix" ? `${value}*` : kind === "exact" ? `= ${value}` : `~ ${value}`;
  return ignoreCase === true ? `${text} (any case)` : text;
}

function wantedText(wanted: TextMatch): string {
  if (wanted.kind === "present") return "present";
  return wanted.kind === "regex" ? `~ ${wanted.value}` : wanted.value;
}
