import type { UpstreamHost } from "../host.ts";
import { murmur3 } from "./murmur3.ts";
import { Shares } from "./shares.ts";

/**
 * Consistent hashing on a ring (ketama): each host stands at points by its weight, a request goes to the next one after its hash.
 * A host that comes or goes moves nobody but its own share.
 */
export class RingHash {
  #hosts: readonly UpstreamHost[] = [];
  /** Sorted; each a point's hash, and its host in the low bits: both fit exactly into a double. */
  #points = new Float64Array(0);

  readonly #shares = new Shares();

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
    this.#shares.update(hosts);
    const average = hosts.reduce((sum, { weight }) => sum + weight, 0) / hosts.length;
    const points: number[] = [];
    hosts.forEach(({ address, weight }, index) => {
      const count = Math.max(1, Math.round((POINTS_PER_HOST * weight) / average));
      for (let point = 0; point < count; point++)
        points.push(murmur3(`${address}_${point}`) * HOSTS_MAX + index);
    });
    this.#points = Float64Array.from(points).sort();
  }

  pick(hash: number | null): UpstreamHost {
    if (hash === null) return this.#hosts[this.#shares.indexAt(Math.random())] as UpstreamHost;
    const wanted = hash * HOSTS_MAX;
    let from = 0;
    let to = this.#points.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#points[middle] as number) < wanted) from = middle + 1;
      else to = middle;
    }
    const point = this.#points[from === this.#points.length ? 0 : from] as number;
    return this.#hosts[point % HOSTS_MAX] as UpstreamHost;
  }
}

/** Of an average weight. Shares differ by about 1/sqrt of it. Envoy's ring has 1024 points at least. */
const POINTS_PER_HOST = 256;
const HOSTS_MAX = 2 ** 20;
