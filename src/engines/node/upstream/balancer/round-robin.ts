import type { UpstreamHost } from "../host.ts";
import { Shares } from "./shares.ts";

/**
 * One after the other. Where weights differ, in steps of the golden ratio along their shares: each host has its share of any
 * run of requests, all but exactly, and its turns are spread over the others'.
 */
export class RoundRobin {
  #hosts: readonly UpstreamHost[] = [];
  readonly #shares = new Shares();
  #last = 0;
  #at = Math.random();

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
    this.#shares.update(hosts);
  }

  pick(): UpstreamHost {
    if (this.#shares.areEqual) this.#last = (this.#last + 1) % this.#hosts.length;
    else {
      this.#at = (this.#at + GOLDEN) % 1;
      this.#last = this.#shares.indexAt(this.#at);
    }
    return this.#hosts[this.#last] as UpstreamHost;
  }
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;
