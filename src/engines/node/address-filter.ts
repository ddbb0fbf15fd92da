import { BlockList, isIP } from "node:net";
import type { AddressPolicy, HttpSettings } from "../../model/http.ts";

/** Who may come in (Module `ip_allow`, `ip_deny`). */
export class AddressFilter {
  readonly #allows: boolean;
  readonly #peers = new BlockList();
  readonly #clients = new BlockList();

  constructor({ action, ranges }: AddressPolicy) {
    this.#allows = action === "allow";
    for (const { of, address, prefixLength } of ranges) {
      const list = of === "peer" ? this.#peers : this.#clients;
      list.addSubnet(address, prefixLength, isIP(address) === 6 ? "ipv6" : "ipv4");
    }
  }

  /** `peer` is the connection's address, `client` the one that trusted proxies tell of. */
  admits(peer: string, client: string): boolean {
    return (contains(this.#peers, peer) || contains(this.#clients, client)) === this.#allows;
  }
}

function contains(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4");
}

/**
 * The client's address as Envoy reads X-Forwarded-For: with `use_remote_address` the connection's, or the entry that the
 * first of N trusted proxies wrote; without it one entry further, as the proxy in front is trusted by itself.
 */
export function clientAddress(forwardedFor: string, peer: string, settings: HttpSettings): string {
  const { useRemoteAddress, xffTrustedHops } = settings;
  const fromRight = useRemoteAddress ? xffTrustedHops : xffTrustedHops + 1;
  if (fromRight === 0 || forwardedFor === "") return peer;
  const entries = forwardedFor.split(",");
  const entry = entries[entries.length - fromRight]?.trim() ?? "";
  return isIP(entry) === 0 ? peer : entry;
}
