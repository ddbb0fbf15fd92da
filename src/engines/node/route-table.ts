import type { Route } from "../../model/route.ts";
import { type Condition, conditionsOf, type MatchedRequest, pathTest } from "./route-match.ts";

/**
 * Finds a request's route at a cost that does not grow with the number of routes: by host, then by the path through a map
 * for each length of prefix. The meaning is that of the ordered list: the first route in the model that matches wins.
 * Only paths by regular expression are tried one after the other, and only those that stand before what is found.
 */
export class RouteTable {
  /** Routes that name a host, by host; under "" those that match any. */
  readonly #byHost = new Map<string, HostRoutes>();
  readonly #anyHost: HostRoutes;

  constructor(routes: readonly Route[]) {
    for (const [order, route] of routes.entries()) {
      const host = route.match.host ?? "";
      const known = this.#byHost.get(host) ?? new HostRoutes();
      this.#byHost.set(host, known);
      known.add({ order, route, conditions: conditionsOf(route.match) });
    }
    this.#anyHost = this.#byHost.get("") ?? new HostRoutes();
    this.#byHost.delete("");
  }

  /** `path` is normalised, without query. */
  find(path: string, request: MatchedRequest): Route | null {
    const anywhere = this.#anyHost.find(path, request);
    const named = this.#byHost.size === 0 ? undefined : this.#byHost.get(request.host);
    const here = named === undefined ? null : named.find(path, request);
    if (here === null) return anywhere?.route ?? null;
    return anywhere === null || here.order < anywhere.order ? here.route : anywhere.route;
  }
}

interface Entry {
  readonly order: number;
  readonly route: Route;
  readonly conditions: readonly Condition[];
}

/** The routes of one host, by kind of path. */
class HostRoutes {
  readonly #exact = new PathIndex();
  readonly #prefix = new PathIndex();
  /** Compared in lower case. */
  readonly #foldedExact = new PathIndex();
  readonly #foldedPrefix = new PathIndex();
  readonly #patterns: (Entry & { readonly takes: (path: string) => boolean })[] = [];

  add(entry: Entry): void {
    const { kind, value, ignoreCase } = entry.route.match.path;
    if (kind === "regex") {
      this.#patterns.push({ ...entry, takes: pathTest(entry.route.match.path) });
    } else if (ignoreCase === true) {
      (kind === "exact" ? this.#foldedExact : this.#foldedPrefix).add(value.toLowerCase(), entry);
    } else (kind === "exact" ? this.#exact : this.#prefix).add(value, entry);
  }

  find(path: string, request: MatchedRequest): Entry | null {
    let best = this.#prefix.findPrefix(path, request, null);
    if (!this.#exact.isEmpty) best = this.#exact.findExact(path, request, best);
    if (!this.#foldedPrefix.isEmpty || !this.#foldedExact.isEmpty) {
      const folded = path.toLowerCase();
      best = this.#foldedPrefix.findPrefix(folded, request, best);
      best = this.#foldedExact.findExact(folded, request, best);
    }
    for (const entry of this.#patterns) {
      if (best !== null && entry.order > best.order) break;
      if (holds(entry, request) && entry.takes(path)) return entry;
    }
    return best;
  }
}

class PathIndex {
  /** For each path the routes in their order. */
  readonly #byPath = new Map<string, Entry[]>();
  /** Lengths of the paths there are, longest first. */
  #lengths: number[] = [];
  /** Lengths alone decide the order unless `precedence` puts a shorter prefix before a longer one. */
  #longestIsFirst = true;
  #lastLength = Number.POSITIVE_INFINITY;

  get isEmpty(): boolean {
    return this.#byPath.size === 0;
  }

  /** In the order of the routes. */
  add(path: string, entry: Entry): void {
    const entries = this.#byPath.get(path);
    if (entries === undefined) this.#byPath.set(path, [entry]);
    // Behind a route without conditions nothing is ever reached.
    else if (entries.at(-1)?.conditions.length !== 0) entries.push(entry);
    if (path.length > this.#lastLength) this.#longestIsFirst = false;
    this.#lastLength = path.length;
    if (this.#lengths.includes(path.length)) return;
    this.#lengths.push(path.length);
    this.#lengths.sort((a, b) => b - a);
  }

  findExact(path: string, request: MatchedRequest, before: Entry | null): Entry | null {
    return firstOf(this.#byPath.get(path), request, before);
  }

  findPrefix(path: string, request: MatchedRequest, before: Entry | null): Entry | null {
    let best = before;
    for (const length of this.#lengths) {
      if (length > path.length) continue;
      const entries = this.#byPath.get(length === path.length ? path : path.slice(0, length));
      if (entries === undefined) continue;
      const found = firstOf(entries, request, best);
      if (found !== best && this.#longestIsFirst) return found;
      best = found;
    }
    return best;
  }
}

/** The first of `entries` that takes the request, if it stands before `best`; else `best`. */
function firstOf(
  entries: readonly Entry[] | undefined,
  request: MatchedRequest,
  best: Entry | null,
): Entry | null {
  if (entries === undefined) return best;
  for (const entry of entries) {
    if (best !== null && entry.order > best.order) return best;
    if (holds(entry, request)) return entry;
  }
  return best;
}

function holds({ conditions }: Entry, request: MatchedRequest): boolean {
  for (const condition of conditions) if (!condition(request)) return false;
  return true;
}
