/** Bounds of the data plane. Beyond them: a fast 503, a closed connection, never growth. Times are milliseconds. */
export interface Limits {
  /** Client connections at once, over all listeners; further ones are closed as they come. */
  readonly maxConnections: number;
  /** Requests being served at once; further ones get 503. */
  readonly maxRequestsInFlight: number;
  /** Connections to one cluster at once; a request that would need another gets 503. */
  readonly maxUpstreamConnections: number;
  /** Request or response head, start line included, in bytes. 1.14's `max_request_headers_kb` is 60. */
  readonly maxHeadBytes: number;
  /** Field lines in a head. */
  readonly maxHeaders: number;
  /** TLS handshake, ClientHello included; before it a PROXY header has as long. */
  readonly handshakeTimeoutMs: number;
  /** From a head's first byte to its last. */
  readonly headTimeoutMs: number;
  /** Between two pieces of a body, either way. */
  readonly bodyTimeoutMs: number;
  /** A client connection between two requests. */
  readonly idleTimeoutMs: number;
  /** A pooled upstream connection between two requests; a shorter `Keep-Alive: timeout` of the upstream wins. */
  readonly upstreamIdleMs: number;
  /** An upgraded connection (WebSocket) on which neither side speaks. */
  readonly tunnelIdleMs: number;
  /** A connection that is passed on byte by byte (TCPMapping) on which neither side speaks: as Envoy's TCP proxy. */
  readonly tcpIdleMs: number;
  /** How long an upstream connection of a retired credential may finish what it is doing. */
  readonly retireMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxConnections: 10_000,
  maxRequestsInFlight: 10_000,
  maxUpstreamConnections: 1024,
  maxHeadBytes: 60 * 1024,
  maxHeaders: 100,
  handshakeTimeoutMs: 10_000,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  upstreamIdleMs: 50_000,
  tunnelIdleMs: 300_000,
  tcpIdleMs: 3_600_000,
  retireMs: 30_000,
};
