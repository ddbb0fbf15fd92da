import type { Endpoint } from "../../endpoints/endpoint.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import type { Route } from "../../model/route.ts";
import { sealed } from "./ads/encoded.ts";
import { ClusterUsers, type Users } from "./cluster-users.ts";
import type { XdsResource } from "./resources.ts";
import { RoutesByName } from "./routes-by-name.ts";

/**
 * What the parts of earlier models became. A part that is the same object in the next model (compile keeps it so) keeps
 * its resource, and so its bytes and version: a change costs what it changes, not the world. It never decides what a
 * translation is: what is given beside the part is all else that the resource was made from.
 */
export class TranslationMemory {
  #clusters = new WeakMap<Cluster, RememberedCluster>();
  #endpoints = new WeakMap<Cluster, RememberedEndpoints>();
  #generations: Generations = new Map();
  readonly #users = new ClusterUsers();
  #translated: TranslatedClusters | null = null;
  #virtualHosts = new Map<string, RememberedHost>();
  #seen = new Map<string, RememberedHost>();
  #surroundings = "";
  #routes: RoutesByName | null = null;

  users(model: GatewayModel): Users {
    return this.#users.of(model);
  }

  /** Made once for all scopes. */
  routesByName(routes: readonly Route[]): RoutesByName {
    if (this.#routes?.routes !== routes) this.#routes = new RoutesByName(routes, this.#routes);
    return this.#routes;
  }

  /** All of a model's; the same list as the last time where nothing of it is other. `generations` as `generations` returns them. */
  clusters(
    clusters: readonly Cluster[],
    users: Users,
    generations: Generations,
    translate: (cluster: Cluster, users: readonly string[]) => XdsResource<"cluster">,
  ): readonly XdsResource<"cluster">[] {
    const last = this.#translated;
    if (last?.clusters === clusters && last.users === users && last.generations === generations)
      return last.resources;
    const resources = clusters.map((cluster) =>
      translate(cluster, users.byCluster.get(cluster.name) ?? NOBODY),
    );
    this.#translated = { clusters, users, generations, resources };
    return resources;
  }

  /** `generations`: of every secret; `key` tells those of the cluster's own. `users` are whom it serves. */
  cluster(
    cluster: Cluster,
    users: readonly string[],
    generations: Generations,
    key: () => string,
    make: () => XdsResource<"cluster">,
  ): XdsResource<"cluster"> {
    const known = this.#clusters.get(cluster);
    if (known !== undefined && isSameList(known.users, users)) {
      if (known.generations === generations) return known.resource;
      if (known.key === key()) {
        known.generations = generations;
        return known.resource;
      }
    }
    const resource = sealed(make());
    this.#clusters.set(cluster, { users, generations, key: key(), resource });
    return resource;
  }

  /** `endpoints` are the same list as long as nothing changes. */
  endpoints(
    cluster: Cluster,
    endpoints: readonly Endpoint[],
    make: () => XdsResource<"endpoints">,
  ): XdsResource<"endpoints"> {
    const known = this.#endpoints.get(cluster);
    if (known?.endpoints === endpoints) return known.resource;
    const resource = sealed(make());
    this.#endpoints.set(cluster, { endpoints, resource });
    return resource;
  }

  /** Those of before, where these are no others: then no cluster's need be compared. */
  generations(now: Generations): Generations {
    const before = this.#generations;
    let isSame = before.size === now.size;
    now.forEach((generation, name) => {
      isSame &&= before.get(name) === generation;
    });
    if (!isSame) this.#generations = now;
    return this.#generations;
  }

  virtualHost(
    name: string,
    key: string,
    routes: readonly Route[],
    make: () => XdsResource<"virtual-host">,
  ): XdsResource<"virtual-host"> {
    const known = this.#virtualHosts.get(name);
    const isSame = known?.key === key && isSameList(known.routes, routes);
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

const NOBODY: readonly string[] = [];

interface TranslatedClusters {
  readonly clusters: readonly Cluster[];
  readonly users: Users;
  readonly generations: Generations;
  readonly resources: readonly XdsResource<"cluster">[];
}

type Generations = ReadonlyMap<string, string>;

interface RememberedCluster {
  readonly users: readonly string[];
  generations: Generations;
  readonly key: string;
  readonly resource: XdsResource<"cluster">;
}

interface RememberedEndpoints {
  readonly endpoints: readonly Endpoint[];
  readonly resource: XdsResource<"endpoints">;
}

interface RememberedHost {
  readonly key: string;
  readonly routes: readonly Route[];
  readonly resource: XdsResource<"virtual-host">;
}

function isSameList<T>(one: readonly T[], other: readonly T[]): boolean {
  return one === other || (one.length === other.length && one.every((value, at) => value === other[at]));
}
