/** Settings of the HTTP side that hold for every listener (Module `ambassador`, reference §2.7). */
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
  /** Value of the `server` response header. Default `credence`. */
  readonly serverName: string;
}
