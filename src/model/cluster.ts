import type { UpstreamTls } from "./tls.ts";

export interface Cluster {
  /** Made from everything that decides the connection, TLS context included, so that none is ever shared by accident. */
  readonly name: string;
  readonly service: ServiceAddress;
  readonly connectTimeoutMs: number;
  readonly tls: UpstreamTls;
  /** Absent: HTTP/1.1. */
  readonly protocol?: "h2";
  /** Absent: round robin. `ring-hash` and `maglev` go by the hash policy of each route. */
  readonly balancer?: "least-request" | "ring-hash" | "maglev";
  /** Absent: the name is resolved by DNS. */
  readonly resolver?: Resolver;
  readonly dns?: DnsSettings;
  readonly breakers?: { readonly default?: CircuitBreaker; readonly high?: CircuitBreaker };
  readonly keepalive?: Keepalive;
  /** Closes a connection that nobody has used for so long, in milliseconds. */
  readonly idleTimeoutMs?: number;
  /** Retires a connection of this age, in milliseconds. */
  readonly maxLifetimeMs?: number;
  readonly outliers?: OutlierDetection;
}

export interface ServiceAddress {
  /** DNS name in lower case, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Who knows the addresses, where it is not DNS: `endpoints/` has them by this name. */
export type Resolver =
  | { readonly kind: "kubernetes-endpoint" }
  | {
      readonly kind: "consul";
      readonly address: string;
      readonly datacenter: string;
      readonly service: string;
      /** Instances must have all of them; absent: any will do. */
      readonly tags?: readonly string[];
    };

export interface DnsSettings {
  /** Absent: IPv4. */
  readonly family?: "v6" | "both";
  /** Resolve again when the answer's TTL is over. */
  readonly respectTtl?: true;
  /** Use the first address of each resolution. */
  readonly logical?: true;
}

/** Absent limits are 1.14's, which are Envoy's: 1024, and 3 retries. */
export interface CircuitBreaker {
  readonly maxConnections?: number;
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly maxRetries?: number;
}

/** TCP keepalive; seconds. Absent parts are the kernel's. */
export interface Keepalive {
  readonly idleSeconds?: number;
  readonly intervalSeconds?: number;
  readonly probes?: number;
}

/** Leaves an address out for a while after failures in a row; milliseconds. */
export interface OutlierDetection {
  readonly consecutive5xx?: number;
  readonly consecutiveGatewayFailures?: number;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionPercent: number;
}
