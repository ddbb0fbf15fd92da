import type { UpstreamHost } from "../host.ts";
import { murmur3 } from "./murmur3.ts";
import { Shares } from "./shares.ts";

/**
 * Consistent hashing by a look-up table (Eisenbud et al., "Maglev", §3.4): hosts take turns in filling it, each in an order
 * of its own, and the lighter ones now and then. Shares are all but exact; a change moves a little more than its own share.
 */
export class Maglev {
  #hosts: readonly UpstreamHost[] = [];
  readonly #table = new Uint16Array(TABLE_SIZE);
  readonly #shares = new Shares();

  update(hosts: readonly UpstreamHost[]): void {
    this.#hosts = hosts;
    this.#shares.update(hosts);
    if (hosts.length === 0) return;
    const position = hosts.map(({ address }) => murmur3(address) % TABLE_SIZE);
    const step = hosts.map(({ address }) => (murmur3(address, SECOND_SEED) % (TABLE_SIZE - 1)) + 1);
    const taken = new Uint8Array(TABLE_SIZE);
    const heaviest = hosts.reduce((most, { weight }) => Math.max(most, weight), 1);
    /** Of turns that were not taken yet, in parts of the heaviest weight: with all of them it is its turn. */
    const saved = new Float64Array(hosts.length);
    for (let filled = 0, turn = 0; filled < TABLE_SIZE; turn = (turn + 1) % hosts.length) {
      saved[turn] = (saved[turn] as number) + (hosts[turn] as UpstreamHost).weight;
      if ((saved[turn] as number) < heaviest) continue;
      saved[turn] = (saved[turn] as number) - heaviest;
      filled++;
      let at = position[turn] as number;
      while (taken[at] === 1) at = (at + (step[turn] as number)) % TABLE_SIZE;
      taken[at] = 1;
      this.#table[at] = turn;
      position[turn] = (at + (step[turn] as number)) % TABLE_SIZE;
    }
  }

  pick(hash: number | null): UpstreamHost {
    const index =
      hash === null ? this.#shares.indexAt(Math.random()) : (this.#table[hash % TABLE_SIZE] as number);
    return this.#hosts[index] as UpstreamHost;
  }
}

/** Prime, and Envoy's. */
const TABLE_SIZE = 65_537;
const SECOND_SEED = 0x9747b28c;
