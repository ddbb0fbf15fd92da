/** Bounds of listeners that whoever runs Envoy may set; where the model has one of its own, that counts. Times are milliseconds. */
export interface ListenerBounds {
  /** Request head, start line included. */
  readonly maxHeadBytes: number;
  /** Field lines in a head. */
  readonly maxHeaders: number;
  /** TLS handshake; before it a PROXY header has as long. */
  readonly handshakeTimeoutMs: number;
  /** Of a request head. */
  readonly headTimeoutMs: number;
  /** A client connection between two requests. */
  readonly idleTimeoutMs: number;
}

/** Those of the other engine. */
export const DEFAULT_BOUNDS: ListenerBounds = {
  maxHeadBytes: 60 * 1024,
  maxHeaders: 100,
  handshakeTimeoutMs: 10_000,
  headTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
};

/** Envoy counts in KiB, and takes no more than 8 MiB. */
export function headKib(bytes: number): number {
  return Math.min(8192, Math.max(1, Math.ceil(bytes / 1024)));
}
