import type { UpstreamTls } from "./tls.ts";

export interface Cluster {
  /** Made from everything that decides the connection, TLS context included, so that none is ever shared by accident. */
  readonly name: string;
  readonly service: ServiceAddress;
  readonly connectTimeoutMs: number;
  readonly tls: UpstreamTls;
}

export interface ServiceAddress {
  /** DNS name in lower case, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
}
