import type { HandshakeLines } from "../control/handshake-lines.ts";
import type { AnchorLedger } from "../credentials/anchor-ledger.ts";
import { DURATION_BUCKETS_MS, type EngineStats } from "../engines/node/stats.ts";
import type { AccessLogWriter } from "../telemetry/access-log-writer.ts";
import type { Metrics, Sample } from "../telemetry/metrics.ts";

/** What `/metrics` shows of the node engine. */
export function registerEngineMetrics(metrics: Metrics, stats: EngineStats): void {
  const one = (read: () => number) => (): Sample[] => [{ labels: {}, value: read() }];
  metrics.gauge(
    "credence_connections_open",
    "Client connections open now",
    one(() => stats.connectionsOpen),
  );
  metrics.counter(
    "credence_connections_total",
    "Client connections accepted",
    one(() => stats.connectionsTotal),
  );
  metrics.counter(
    "credence_connections_refused_total",
    "Client connections closed for want of room",
    one(() => stats.connectionsRefused),
  );
  metrics.counter(
    "credence_clients_ended_total",
    "Connections ended because the client's certificate is no longer accepted, by reason",
    function* () {
      for (const [reason, value] of stats.clientsEnded) yield { labels: { reason }, value };
    },
  );
  metrics.counter(
    "credence_proxy_protocol_refused_total",
    "Connections closed for want of a valid PROXY header",
    one(() => stats.proxyHeadersRefused),
  );
  metrics.gauge("credence_tcp_connections_open", "Connections of TCPMappings open now", function* () {
    for (const [route, { open }] of stats.tcpRoutes) yield { labels: { route }, value: open };
  });
  metrics.counter("credence_tcp_connections_total", "Ended connections of TCPMappings", function* () {
    for (const [route, { ends }] of stats.tcpRoutes)
      for (const [end, value] of ends) yield { labels: { route, end }, value };
  });
  metrics.counter("credence_tcp_bytes_total", "Bytes on connections of TCPMappings", function* () {
    for (const [route, { bytesUp, bytesDown }] of stats.tcpRoutes) {
      yield { labels: { route, from: "client" }, value: bytesUp };
      yield { labels: { route, from: "upstream" }, value: bytesDown };
    }
  });
  metrics.gauge(
    "credence_requests_in_flight",
    "Requests being served now",
    one(() => stats.requestsInFlight),
  );
  metrics.counter(
    "credence_request_body_bytes_total",
    "Bytes of request bodies",
    one(() => stats.requestBytes),
  );
  metrics.counter(
    "credence_response_body_bytes_total",
    "Bytes of response bodies",
    one(() => stats.responseBytes),
  );
  metrics.counter(
    "credence_upstream_retries_total",
    "Requests sent again",
    one(() => stats.upstreamRetries),
  );
  metrics.counter("credence_mirrored_requests_total", "Copies of requests for a shadow", () => [
    { labels: { outcome: "sent" }, value: stats.mirrorsSent },
    { labels: { outcome: "too_large" }, value: stats.mirrorsTooLarge },
    { labels: { outcome: "failed" }, value: stats.mirrorFailures },
  ]);
  registerFailureMetrics(metrics, [{ counts: stats.failures }]);
  metrics.counter("credence_requests_total", "Requests by route and class of status", function* () {
    for (const [route, { byClass }] of stats.routes) {
      for (const [group, value] of byClass.entries())
        if (value > 0) yield { labels: { route, class: `${group}xx` }, value };
    }
  });
  metrics.histogram(
    "credence_request_duration_ms",
    "Milliseconds from a request's head to the end of its response",
    function* () {
      for (const [route, { durations, durationSumMs }] of stats.routes) {
        yield { labels: { route }, bounds: DURATION_BUCKETS_MS, counts: durations, sum: durationSumMs };
      }
    },
  );
}

/** Failed requests, whichever engine served them; of a fleet by group. */
export function registerFailureMetrics(
  metrics: Metrics,
  sources: readonly { readonly group?: string; readonly counts: ReadonlyMap<string, number> }[],
): void {
  metrics.counter("credence_failures_total", "Failed requests by reason", function* () {
    for (const { group, counts } of sources)
      for (const [reason, value] of counts)
        yield { labels: { ...(group === undefined ? {} : { group }), reason }, value };
  });
}

/** Verified handshakes by the CA that vouched: as many series as the ledger keeps places and CAs. */
export function registerAnchorMetrics(metrics: Metrics, ledger: AnchorLedger): void {
  metrics.counter(
    "credence_anchor_handshakes_total",
    "Verified handshakes by the CA that vouched for the peer",
    function* () {
      for (const { direction, place, trust, anchors } of ledger.places)
        for (const [anchor, { handshakes }] of anchors)
          yield { labels: { direction, place, trust, anchor }, value: handshakes };
    },
  );
}

/** Of the lines that this process writes; absent: none. */
export function registerAccessLogMetrics(
  metrics: Metrics,
  accessLog: Pick<AccessLogWriter, "dropped"> | undefined,
  handshakeLines: Pick<HandshakeLines, "leftOut"> | undefined,
): void {
  metrics.counter(
    "credence_access_log_dropped_total",
    "Access log lines that their reader was too slow for.",
    () => [{ labels: {}, value: accessLog?.dropped ?? 0 }],
  );
  metrics.counter(
    "credence_access_log_handshakes_left_out_total",
    "Failed handshakes of clients without a line in the access log: there were too many in their second.",
    () => [{ labels: {}, value: handshakeLines?.leftOut ?? 0 }],
  );
}
