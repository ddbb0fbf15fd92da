import type { Route } from "../../model/route.ts";

/**
 * Finds a request's route at a cost that does not grow with the number of routes: by host, then by the path's prefixes
 * through a map per length, longest first. The meaning is that of the ordered list: the first route in the model that
 * matches wins, whatever its length.
 */
export class RouteTable {
  /** Routes that name a host, by host; under "" those that match any. */
  readonly #byHost = new Map<string, PrefixIndex>();
  readonly #anyHost: PrefixIndex;

  constructor(routes: readonly Route[]) {
    for (const [order, route] of routes.entries()) {
      const host = route.match.host ?? "";
      const index = this.#byHost.get(host) ?? new PrefixIndex();
      this.#byHost.set(host, index);
      index.add({ order, route, prefixLength: route.match.path.value.length });
    }
    this.#anyHost = this.#byHost.get("") ?? new PrefixIndex();
    this.#byHost.delete("");
  }

  /** `host` is the Host field in lower case as the Module wants it compared; `path` is normalised, without query. */
  find(host: string, path: string): Route | null {
    const anywhere = this.#anyHost.find(path);
    const named = this.#byHost.size === 0 ? undefined : this.#byHost.get(host);
    if (named === undefined) return anywhere?.route ?? null;
    const here = named.find(path);
    if (here === null) return anywhere?.route ?? null;
    return anywhere === null || here.order < anywhere.order ? here.route : anywhere.route;
  }
}

interface Entry {
  readonly order: number;
  readonly route: Route;
  readonly prefixLength: number;
}

class PrefixIndex {
  readonly #byPrefix = new Map<string, Entry>();
  /** Lengths of the prefixes there are, longest first. */
  #lengths: number[] = [];
  /** Lengths alone decide the order unless `precedence` puts a shorter prefix before a longer one. */
  #longestIsFirst = true;
  #lastLength = Number.POSITIVE_INFINITY;

  add(entry: Entry): void {
    const { value } = entry.route.match.path;
    // The first of two routes with one match takes everything; the second is never reached.
    if (this.#byPrefix.has(value)) return;
    this.#byPrefix.set(value, entry);
    if (!this.#lengths.includes(entry.prefixLength)) {
      this.#lengths.push(entry.prefixLength);
      this.#lengths.sort((a, b) => b - a);
    }
    if (entry.prefixLength > this.#lastLength) this.#longestIsFirst = false;
    this.#lastLength = entry.prefixLength;
  }

  find(path: string): Entry | null {
    let best: Entry | null = null;
    for (const length of this.#lengths) {
      if (length > path.length) continue;
      const entry = this.#byPrefix.get(length === path.length ? path : path.slice(0, length));
      if (entry === undefined) continue;
      if (this.#longestIsFirst) return entry;
      if (best === null || entry.order < best.order) best = entry;
    }
    return best;
  }
}
