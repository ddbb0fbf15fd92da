import type { UpstreamHost } from "../host.ts";

/**
 * Of two hosts at random, the one with fewer requests in flight: nearly as even as the best of all, without everybody
 * running to the same one at once (Mitzenmacher, "The Power of Two Choices").
 */
export class LeastRequest {
  #hosts: readonly UpstreamHost[] = [];

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
  }

  pick(): UpstreamHost {
    const { length } = this.#hosts;
    const first = Math.floor(Math.random() * length);
    const one = this.#hosts[first] as UpstreamHost;
    if (length === 1) return one;
    const other = this.#hosts[
      (first + 1 + Math.floor(Math.random() * (length - 1))) % length
    ] as UpstreamHost;
    return other.requests < one.requests ? other : one;
  }
}
