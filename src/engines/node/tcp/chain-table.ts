import type { VirtualHost } from "../../../model/listener.ts";
import type { TcpChain, TcpListener } from "../../../model/tcp.ts";
import { VirtualHostTable } from "../virtual-hosts.ts";

/** The chains of one listener, for looking up by server name. */
export class ChainTable {
  /** What Termination follows: the names, and those that it may not serve as cleartext ones. */
  readonly hosts: VirtualHostTable;
  /** Takes whatever no name is for. */
  readonly rest: TcpChain | null;
  /** Some chain asks for a server name, so that a connection's first bytes must be read. */
  readonly readsServerName: boolean;
  readonly #byDomain = new Map<string, TcpChain>();

  constructor({ chains }: TcpListener) {
    this.rest = chains.find(({ serverName }) => serverName === null) ?? null;
    const hosts: VirtualHost[] = [];
    for (const chain of chains) {
      if (chain.serverName === null) continue;
      this.#byDomain.set(chain.serverName, chain);
      hosts.push({
        domain: chain.serverName,
        origin: chain.destinations[0]?.name ?? "",
        tls: chain.tls.mode === "passthrough" ? { mode: "cleartext" } : chain.tls,
        cleartext: "reject",
      });
    }
    this.hosts = new VirtualHostTable(hosts);
    this.readsServerName = hosts.length > 0;
  }

  /** For TLS with this server name; null: without any. */
  find(serverName: string | null): TcpChain | null {
    const host = this.hosts.find(serverName ?? "");
    return host === undefined ? this.rest : (this.#byDomain.get(host.domain) ?? null);
  }
}
