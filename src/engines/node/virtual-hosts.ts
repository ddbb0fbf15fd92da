import type { VirtualHost } from "../../model/listener.ts";

/** Finds the virtual host of a name: the exact one, then the longest `*.suffix`, then `*`. */
export class VirtualHostTable {
  /** Some host is, or should be, served over TLS. */
  readonly terminatesTls: boolean;
  readonly all: readonly VirtualHost[];
  readonly #exact = new Map<string, VirtualHost>();
  readonly #bySuffix = new Map<string, VirtualHost>();
  readonly #any: VirtualHost | undefined;

  constructor(hosts: readonly VirtualHost[]) {
    this.all = hosts;
    this.terminatesTls = hosts.some(({ tls }) => tls.mode !== "cleartext");
    for (const host of hosts) {
      if (host.domain === "*") this.#any = host;
      else if (host.domain.startsWith("*.")) this.#bySuffix.set(host.domain.slice(1), host);
      else this.#exact.set(host.domain, host);
    }
  }

  /** `name` in lower case, without port and final dot. */
  find(name: string): VirtualHost | undefined {
    const exact = this.#exact.get(name);
    if (exact !== undefined || this.#bySuffix.size === 0) return exact ?? this.#any;
    for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
      const host = this.#bySuffix.get(name.slice(dot));
      // `*.a` does not cover `.a`.
      if (host !== undefined && dot > 0) return host;
    }
    return this.#any;
  }
}
