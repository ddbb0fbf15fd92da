import type { FailureReason } from "../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";

/** Counters of the data plane: plain numbers, read when metrics are scraped. */
export class EngineStats {
  connectionsOpen = 0;
  connectionsTotal = 0;
  connectionsRefused = 0;
  proxyHeadersRefused = 0;
  requestsInFlight = 0;
  requestBytes = 0;
  responseBytes = 0;
  upstreamRetries = 0;
  /** Copies of requests for a shadow: sent, left out for their bodies' size, and failed. */
  mirrorsSent = 0;
  mirrorsTooLarge = 0;
  mirrorFailures = 0;
  readonly failures: Map<FailureReason, number> = new Map<FailureReason, number>();
  /** Connections that ended since their client's certificate was no longer accepted. */
  readonly clientsEnded: Map<HandshakeReason, number> = new Map<HandshakeReason, number>();
  readonly routes: Map<string, RouteStats> = new Map<string, RouteStats>();
  readonly tcpRoutes: Map<string, TcpRouteStats> = new Map<string, TcpRouteStats>();

  count(route: string, status: number, durationMs: number, failure: FailureReason | null): void {
    let stats = this.routes.get(route);
    if (stats === undefined) {
      stats = new RouteStats();
      this.routes.set(route, stats);
    }
    const group = Math.floor(status / 100);
    stats.byClass[group] = (stats.byClass[group] ?? 0) + 1;
    stats.durationSumMs += durationMs;
    let bucket = 0;
    while (bucket < DURATION_BUCKETS_MS.length && durationMs > (DURATION_BUCKETS_MS[bucket] as number))
      bucket++;
    stats.durations[bucket] = (stats.durations[bucket] as number) + 1;
    if (failure !== null) this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
  }

  countEndedClient(reason: HandshakeReason): void {
    this.clientsEnded.set(reason, (this.clientsEnded.get(reason) ?? 0) + 1);
  }

  tcpRoute(name: string): TcpRouteStats {
    let stats = this.tcpRoutes.get(name);
    if (stats === undefined) {
      stats = new TcpRouteStats();
      this.tcpRoutes.set(name, stats);
    }
    return stats;
  }
}

/** Connections of one TCPMapping. */
export class TcpRouteStats {
  open = 0;
  /** How many have ended, by how. */
  readonly ends: Map<string, number> = new Map<string, number>();
  /** From clients, and to them. */
  bytesUp = 0;
  bytesDown = 0;
}

/** Upper bounds in milliseconds; the last bucket has none. */
export const DURATION_BUCKETS_MS: readonly number[] = [
  1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
];

/** Counters of one route. */
export class RouteStats {
  /** Requests by the first digit of their status. */
  readonly byClass: number[] = [0, 0, 0, 0, 0, 0];
  durationSumMs = 0;
  readonly durations: number[] = new Array<number>(DURATION_BUCKETS_MS.length + 1).fill(0);
}
