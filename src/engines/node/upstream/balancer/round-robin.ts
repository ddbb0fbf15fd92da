import type { UpstreamHost } from "../host.ts";

/** One after the other. */
export class RoundRobin {
  #hosts: readonly UpstreamHost[] = [];
  #last = 0;

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
  }

  pick(): UpstreamHost {
    this.#last = (this.#last + 1) % this.#hosts.length;
    return this.#hosts[this.#last] as UpstreamHost;
  }
}
