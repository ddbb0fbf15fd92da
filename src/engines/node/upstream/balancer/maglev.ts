import type { UpstreamHost } from "../host.ts";
import { murmur3 } from "./murmur3.ts";

/**
 * Consistent hashing by a look-up table (Eisenbud et al., "Maglev", §3.4): hosts take turns in filling it, each in an order
 * of its own. Shares are all but equal; a change moves a little more than its own share.
 */
export class Maglev {
  #hosts: readonly UpstreamHost[] = [];
  readonly #table = new Uint16Array(TABLE_SIZE);

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
    if (hosts.length === 0) return;
    const position = hosts.map(({ address }) => murmur3(address) % TABLE_SIZE);
    const step = hosts.map(({ address }) => (murmur3(address, SECOND_SEED) % (TABLE_SIZE - 1)) + 1);
    const taken = new Uint8Array(TABLE_SIZE);
    for (let filled = 0, turn = 0; filled < TABLE_SIZE; filled++, turn = (turn + 1) % hosts.length) {
      let at = position[turn] as number;
      while (taken[at] === 1) at = (at + (step[turn] as number)) % TABLE_SIZE;
      taken[at] = 1;
      this.#table[at] = turn;
      position[turn] = (at + (step[turn] as number)) % TABLE_SIZE;
    }
  }

  pick(hash: number | null): UpstreamHost {
    const { length } = this.#hosts;
    const index =
      hash === null ? Math.floor(Math.random() * length) : (this.#table[hash % TABLE_SIZE] as number);
    return this.#hosts[index] as UpstreamHost;
  }
}

/** Prime, and Envoy's. */
const TABLE_SIZE = 65_537;
const SECOND_SEED = 0x9747b28c;
