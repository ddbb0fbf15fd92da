import type { ErrorResponse } from "./route.ts";

/** Settings that hold for every listener (Module `ambassador`, reference §2.7). */
export interface HttpSettings {
  /** true: the connection's address is the client's and X-Forwarded-Proto is set from the connection. Default true. */
  readonly useRemoteAddress: boolean;
  /** How many trusted proxies stand before this gateway: their X-Forwarded-* are believed. Default 0. */
  readonly xffTrustedHops: number;
  /** Collapse runs of `/` in the path before matching. Default false. */
  readonly mergeSlashes: boolean;
  /** Answer 400 to a path with `%2F` or `%5C`. Default false: they stay escaped and match as written. */
  readonly rejectEscapedSlashes: boolean;
  /** Keep a client's X-Request-Id instead of making a new one. Default false. */
  readonly preserveRequestId: boolean;
  /** Match `host` without the `:port` the client sent. Default false. */
  readonly stripMatchingHostPort: boolean;
  /** Absent: as the engine's limits say. Bytes. */
  readonly maxHeadBytes?: number;
  /** Larger bodies are answered with 413. Bytes; absent: no limit. */
  readonly maxBodyBytes?: number;
  /** Idle client connections are closed after so many milliseconds; absent: as the engine's limits say. */
  readonly idleTimeoutMs?: number;
  /** Every connection, those of TCP listeners included, begins with a PROXY header that tells the client's address. */
  readonly proxyProtocol?: true;
  /** Headers with `_` in their names; absent: passed on. */
  readonly underscores?: "reject" | "drop";
  /** What becomes of X-Forwarded-Client-Cert; absent: it is removed. */
  readonly clientCertificate?: ClientCertificateHeader;
  /** Prefixes at which the gateway speaks for itself, null where it does not; absent: /ambassador/v0/check_ready, check_alive. */
  readonly probes?: { readonly ready: string | null; readonly alive: string | null };
  /** Who may come in; absent: anybody. */
  readonly addresses?: AddressPolicy;
  /** Of responses that no route made; routes have their own. */
  readonly errorResponses?: readonly ErrorResponse[];
  /** Responses are compressed for clients that take gzip; absent: they are passed on as they are. */
  readonly gzip?: GzipSettings;
  /** Value of the `server` response header. Default `credence`. */
  readonly serverName: string;
}

/** Whatever is absent: as the engine has it. */
export interface GzipSettings {
  readonly memoryLevel?: number;
  /** Bytes. */
  readonly minContentLength?: number;
  readonly level?: "best" | "speed";
  readonly strategy?: "filtered" | "huffman" | "rle" | "fixed";
  readonly windowBits?: number;
  /** Sorted. */
  readonly contentTypes?: readonly string[];
  readonly keepsEtagged?: true;
  /** Upstreams are not told that the client takes it. */
  readonly hidesAcceptEncoding?: true;
}

/** X-Forwarded-Client-Cert, by Envoy's names and rules (reference §2.7). */
export interface ClientCertificateHeader {
  readonly mode: "forward-only" | "append-forward" | "sanitize-set" | "always-forward-only";
  /** What is said of the certificate beside its hash. In the order of writing. */
  readonly details: readonly ("subject" | "cert" | "chain" | "dns" | "uri")[];
}

/** `allow`: only the ranges; `deny`: anybody but the ranges. */
export interface AddressPolicy {
  readonly action: "allow" | "deny";
  readonly ranges: readonly AddressRange[];
}

export interface AddressRange {
  /** `peer`: the connection's; `remote`: the client's as trusted proxies tell it. */
  readonly of: "peer" | "remote";
  readonly address: string;
  readonly prefixLength: number;
}
