import type { DnsSettings } from "../model/cluster.ts";

/** One address a cluster may be reached at. */
export interface Endpoint {
  /** IP address without brackets. */
  readonly address: string;
  readonly port: number;
  /** Its share of the traffic is this beside the others'; absent: 1, as everybody whom nobody has weighed. */
  readonly weight?: number;
}

/** What engines read. */
export interface EndpointReader {
  /**
   * The addresses of `host` (a DNS name or an IP address), freshest known. Resolves at once when they are cached,
   * rejects with a `DnsFailure` when there are none. As long as nothing changes it is the same list.
   */
  resolve(host: string, port: number, dns?: DnsSettings): readonly Endpoint[] | Promise<readonly Endpoint[]>;
}

/** A name that has no address. */
export class DnsFailure extends Error {
  /** e.g. `ENOTFOUND`. */
  readonly code: string;
  constructor(host: string, code: string) {
    super(`no address for ${host}: ${code}`);
    this.name = "DnsFailure";
    this.code = code;
  }
}
