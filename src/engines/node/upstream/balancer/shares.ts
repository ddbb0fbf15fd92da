import type { UpstreamHost } from "../host.ts";

/** Hosts along a line from 0 to 1, each with the part of it that its weight gives. */
export class Shares {
  /** All weigh the same. */
  areEqual = true;
  #hosts: readonly UpstreamHost[] = [];
  /** Where each one's part ends; unused while all are equal. */
  #ends = new Float64Array(0);

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
    this.areEqual = hosts.every(({ weight }) => weight === hosts[0]?.weight);
    if (this.areEqual) return;
    const total = hosts.reduce((sum, { weight }) => sum + weight, 0);
    let sum = 0;
    this.#ends = Float64Array.from(hosts, ({ weight }) => {
      sum += weight;
      return sum / total;
    });
  }

  /** Whose part this is. */
  indexAt(fraction: number): number {
    const last = this.#hosts.length - 1;
    if (this.areEqual) return Math.floor(fraction * this.#hosts.length);
    let from = 0;
    let to = last;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#ends[middle] as number) <= fraction) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
