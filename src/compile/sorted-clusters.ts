import type { Cluster } from "../model/cluster.ts";

/**
 * Clusters sorted by name, each for as long as somebody uses it. A name is made of all that decides what a cluster is: of several
 * objects with one name the first stays.
 */
export class SortedClusters {
  readonly #byName = new Map<string, { readonly cluster: Cluster; users: number }>();
  #sorted: readonly Cluster[] = [];
  /** What `#sorted` does not have yet, and what it has too much. */
  readonly #added = new Set<Cluster>();
  readonly #removed = new Set<Cluster>();

  add(cluster: Cluster): void {
    const known = this.#byName.get(cluster.name);
    if (known !== undefined) {
      known.users++;
      return;
    }
    this.#byName.set(cluster.name, { cluster, users: 1 });
    this.#added.add(cluster);
  }

  remove({ name }: Cluster): void {
    const known = this.#byName.get(name);
    if (known === undefined || --known.users > 0) return;
    this.#byName.delete(name);
    if (!this.#added.delete(known.cluster)) this.#removed.add(known.cluster);
  }

  /** The same list as the last time, if no cluster has come or gone. */
  sorted(): readonly Cluster[] {
    if (this.#added.size + this.#removed.size === 0) return this.#sorted;
    const kept = this.#sorted.filter((cluster) => !this.#removed.has(cluster));
    // In order already but for what has come.
    this.#sorted = [...kept, ...this.#added].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#added.clear();
    this.#removed.clear();
    return this.#sorted;
  }
}
