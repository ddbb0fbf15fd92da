import type { Route } from "../../model/route.ts";
import { readHost } from "./route-match.ts";

/** Routes by the name they are for, in the order of precedence. Made once for all scopes. */
export function routesByName(routes: readonly Route[]): RoutesByName {
  let known = KNOWN.get(routes);
  if (known === undefined) {
    known = new RoutesByName(routes);
    KNOWN.set(routes, known);
  }
  return known;
}

export class RoutesByName {
  readonly #routes: readonly Route[];
  readonly #byName = new Map<string, Route[]>();
  readonly #anywhere: Route[] = [];
  /** Of each route; made when lists are put together. */
  #places: ReadonlyMap<Route, number> | null = null;

  constructor(routes: readonly Route[]) {
    this.#routes = routes;
    for (const route of routes) {
      const name = nameOf(route);
      if (name === ANYWHERE) this.#anywhere.push(route);
      // One that no request can name has no virtual host either.
      else if (name !== null) {
        const known = this.#byName.get(name);
        if (known === undefined) this.#byName.set(name, [route]);
        else known.push(route);
      }
    }
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
    this.#places ??= new Map(this.#routes.map((route, place) => [route, place]));
    const places = this.#places;
    return [list, ...others].flat().sort((a, b) => (places.get(a) as number) - (places.get(b) as number));
  }
}

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

const KNOWN = new WeakMap<readonly Route[], RoutesByName>();
const NAMES = new WeakMap<Route, string | typeof ANYWHERE | null>();
