import type { Route } from "../../model/route.ts";
import { readHost } from "./route-match.ts";
import { unlikeRoutes } from "./unlike-routes.ts";

/** Routes by the name they are for, in the order of precedence. */
export class RoutesByName {
  readonly routes: readonly Route[];
  readonly #byName: Map<string, Route[]>;
  readonly #anywhere: readonly Route[];
  /** Of each route; made when lists are put together. */
  #places: ReadonlyMap<Route, number> | null = null;

  /** `before`: of an earlier list. Names of which nothing has changed since keep their lists. */
  constructor(routes: readonly Route[], before: RoutesByName | null = null) {
    this.routes = routes;
    const touched = before === null ? null : namesOfDifference(before.routes, routes);
    const known = touched === null ? null : before;
    this.#byName = new Map(known === null ? [] : known.#byName);
    if (touched !== null) for (const name of touched) this.#byName.delete(name);
    const anywhere: Route[] = [];
    for (const route of routes) {
      const name = nameOf(route);
      if (name === ANYWHERE) anywhere.push(route);
      // One that no request can name has no virtual host either.
      else if (name !== null && touched?.has(name) !== false) {
        const found = this.#byName.get(name);
        if (found === undefined) this.#byName.set(name, [route]);
        else found.push(route);
      }
    }
    this.#anywhere = anywhere;
  }

  names(): Iterable<string> {
    return this.#byName.keys();
  }

  count(domains: readonly string[]): number {
    let count = this.#anywhere.length;
    for (const domain of domains) count += this.#byName.get(domain)?.length ?? 0;
    return count;
  }

  /** In the order of precedence. */
  of(domains: readonly string[]): readonly Route[] {
    const lists = [this.#anywhere, ...domains.map((domain) => this.#byName.get(domain) ?? [])];
    const [list = [], ...others] = lists.filter(({ length }) => length > 0);
    if (others.length === 0) return list;
    this.#places ??= new Map(this.routes.map((route, place) => [route, place]));
    const places = this.#places;
    return [list, ...others].flat().sort((a, b) => (places.get(a) as number) - (places.get(b) as number));
  }
}

/** Null: too many to tell. */
function namesOfDifference(before: readonly Route[], after: readonly Route[]): ReadonlySet<string> | null {
  const names = new Set<string>();
  for (const route of unlikeRoutes(before, after)) {
    const name = nameOf(route);
    if (typeof name === "string") names.add(name);
    if (names.size > MANY) return null;
  }
  return names;
}

const MANY = 32;

/** Where a route has no host. */
const ANYWHERE = Symbol("anywhere");

/** Null: no request can name it. */
function nameOf(route: Route): string | typeof ANYWHERE | null {
  let name = NAMES.get(route);
  if (name === undefined) {
    const { host } = route.match;
    name = host === undefined ? ANYWHERE : (readHost(host)?.name ?? null);
    NAMES.set(route, name);
  }
  return name;
}

const NAMES = new WeakMap<Route, string | typeof ANYWHERE | null>();
