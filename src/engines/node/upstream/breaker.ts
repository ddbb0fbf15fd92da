import type { CircuitBreaker } from "../../../model/cluster.ts";

/** What one priority of a cluster may hold at once. Beyond it requests are refused at once rather than piled up. */
export class Breaker {
  /** Null: as many as the engine's limits allow. At this number requests wait for a connection to be free. */
  readonly maxConnections: number | null;
  /** Requests that wait for a connection, one in the making included. */
  readonly maxPendingRequests: number;
  /** Requests on connections. */
  readonly maxRequests: number;
  readonly maxRetries: number;
  requests = 0;
  retries = 0;

  constructor(limits: CircuitBreaker = {}) {
    this.maxConnections = limits.maxConnections ?? null;
    this.maxPendingRequests = limits.maxPendingRequests ?? DEFAULT_MAX;
    this.maxRequests = limits.maxRequests ?? DEFAULT_MAX;
    this.maxRetries = limits.maxRetries ?? DEFAULT_MAX_RETRIES;
  }

  /** No further request may go out. */
  get open(): boolean {
    return this.requests >= this.maxRequests;
  }

  /** Whether one more retry may be under way; `endRetry` gives it back. */
  beginRetry(): boolean {
    if (this.retries >= this.maxRetries) return false;
    this.retries++;
    return true;
  }

  endRetry(): void {
    this.retries--;
  }
}

/** Envoy's. */
const DEFAULT_MAX = 1024;
const DEFAULT_MAX_RETRIES = 3;
