import type { UpstreamHost } from "../host.ts";
import { Shares } from "./shares.ts";

/**
 * Of two hosts at random, the one with fewer requests in flight for its weight: nearly as even as the best of all, without
 * everybody running to the same one at once (Mitzenmacher, "The Power of Two Choices"). The first is drawn by weight, and
 * stays where there is no difference.
 */
export class LeastRequest {
  #hosts: readonly UpstreamHost[] = [];
  readonly #shares = new Shares();

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
    this.#shares.update(hosts);
  }

  pick(): UpstreamHost {
    const { length } = this.#hosts;
    const first = this.#shares.indexAt(Math.random());
    const one = this.#hosts[first] as UpstreamHost;
    if (length === 1) return one;
    const other = this.#hosts[
      (first + 1 + Math.floor(Math.random() * (length - 1))) % length
    ] as UpstreamHost;
    return other.requests * one.weight < one.requests * other.weight ? other : one;
  }
}
