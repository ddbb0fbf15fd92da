import type { Cluster } from "../../model/cluster.ts";
import type { Route } from "../../model/route.ts";
import { sealed } from "./ads/snapshot.ts";
import type { XdsResource } from "./resources.ts";

/**
 * What the parts of earlier models became. A part that is the same object in the next model (compile keeps it so) keeps
 * its resource, and so its bytes and version: a change costs what it changes, not the world. It never decides what a
 * translation is: `key` is all else that the resource was made from.
 */
export class TranslationMemory {
  #clusters = new WeakMap<Cluster, Remembered<"cluster">>();
  #virtualHosts = new Map<string, RememberedHost>();
  #seen = new Map<string, RememberedHost>();
  #surroundings = "";

  cluster(cluster: Cluster, key: string, make: () => XdsResource<"cluster">): XdsResource<"cluster"> {
    const known = this.#clusters.get(cluster);
    if (known?.key === key) return known.resource;
    const resource = sealed(make());
    this.#clusters.set(cluster, { key, resource });
    return resource;
  }

  virtualHost(
    name: string,
    key: string,
    routes: readonly Route[],
    make: () => XdsResource<"virtual-host">,
  ): XdsResource<"virtual-host"> {
    const known = this.#virtualHosts.get(name);
    const isSame =
      known?.key === key &&
      known.routes.length === routes.length &&
      routes.every((route, at) => route === known.routes[at]);
    const remembered = isSame ? known : { key, routes, resource: sealed(make()) };
    this.#seen.set(name, remembered);
    return remembered.resource;
  }

  /** A translation begins. `surroundings`: what every virtual host is made from beside its routes; another one forgets them all. */
  begin(surroundings: string): void {
    this.#virtualHosts = surroundings === this.#surroundings ? this.#seen : new Map();
    this.#surroundings = surroundings;
    // Those that this translation has no use for are forgotten by the next.
    this.#seen = new Map();
  }
}

interface Remembered<Kind extends "cluster" | "virtual-host"> {
  readonly key: string;
  readonly resource: XdsResource<Kind>;
}

interface RememberedHost extends Remembered<"virtual-host"> {
  readonly routes: readonly Route[];
}
