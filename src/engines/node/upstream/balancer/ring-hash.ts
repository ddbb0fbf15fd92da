import type { UpstreamHost } from "../host.ts";
import { murmur3 } from "./murmur3.ts";

/**
 * Consistent hashing on a ring (ketama): each host stands at many points, a request goes to the next one after its hash.
 * A host that comes or goes moves nobody but its own share.
 */
export class RingHash {
  #hosts: readonly UpstreamHost[] = [];
  /** Sorted; each a point's hash, and its host in the low bits: both fit exactly into a double. */
  #points = new Float64Array(0);

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
    const points = new Float64Array(hosts.length * POINTS_PER_HOST);
    hosts.forEach(({ address }, index) => {
      for (let point = 0; point < POINTS_PER_HOST; point++)
        points[index * POINTS_PER_HOST + point] = murmur3(`${address}_${point}`) * HOSTS_MAX + index;
    });
    this.#points = points.sort();
  }

  pick(hash: number | null): UpstreamHost {
    if (hash === null) return this.#hosts[Math.floor(Math.random() * this.#hosts.length)] as UpstreamHost;
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

/** Shares differ by about 1/sqrt of it. Envoy's ring has 1024 points at least. */
const POINTS_PER_HOST = 256;
const HOSTS_MAX = 2 ** 20;
