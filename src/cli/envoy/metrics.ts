import type { AdsClient } from "../../engines/envoy/ads/client.ts";
import type { AdsServer } from "../../engines/envoy/ads/server.ts";
import type { EnvoyEngine } from "../../engines/envoy/engine.ts";
import type { EnvoySupervisor } from "../../engines/envoy/process/supervisor.ts";
import type { Metrics, Sample } from "../../telemetry/metrics.ts";

/** What `/metrics` shows of the Envoys that are connected. */
export function registerFleetMetrics(
  metrics: Metrics,
  planes: readonly { readonly group?: string; readonly engine: EnvoyEngine }[],
): void {
  const groups = (read: (fleet: readonly AdsClient[]) => number) => (): Sample[] =>
    planes.map(({ group, engine }) => ({
      labels: group === undefined ? {} : { group },
      value: read(engine.fleet),
    }));
  const envoys = (read: (client: AdsClient) => number) => (): Sample[] =>
    planes.flatMap(({ group, engine }) =>
      engine.fleet.map((client) => ({
        labels: { ...(group === undefined ? {} : { group }), node: client.node },
        value: read(client),
      })),
    );
  metrics.gauge(
    "credence_envoys_connected",
    "Envoys whose xDS stream is open.",
    groups((fleet) => fleet.length),
  );
  metrics.gauge(
    "credence_envoy_revision",
    "Number of the newest revision of which the Envoy has all that it did not refuse; 0 before the first.",
    envoys(({ revision }) => Number(revision ?? 0)),
  );
  metrics.gauge(
    "credence_envoy_up_to_date",
    "1 when the Envoy has all that is published, but for what it refused.",
    envoys(({ isSettled }) => (isSettled ? 1 : 0)),
  );
  metrics.gauge(
    "credence_envoy_refused",
    "Resources that the Envoy refuses now.",
    envoys(({ nacks }) => nacks.length),
  );
  metrics.counter(
    "credence_xds_responses_total",
    "xDS responses sent to the Envoy on its stream.",
    envoys(({ sent }) => sent.responses),
  );
  metrics.counter(
    "credence_xds_bytes_total",
    "Bytes of resources sent to the Envoy on its stream.",
    envoys(({ sent }) => sent.bytes),
  );
  metrics.counter(
    "credence_xds_nacks_total",
    "xDS responses that the Envoy refused on its stream.",
    envoys(({ sent }) => sent.refused),
  );
}

/** Who was not let in to the xDS streams. */
export function registerRefusalMetrics(metrics: Metrics, ads: Pick<AdsServer, "refusals">): void {
  metrics.counter("credence_xds_clients_refused_total", "Clients that got no xDS stream.", () => {
    const { handshake, ...others } = ads.refusals;
    return [
      ...Object.entries(others).map(([reason, value]) => ({ labels: { reason }, value })),
      ...[...handshake].map(([why, value]) => ({ labels: { reason: "handshake", handshake: why }, value })),
    ];
  });
}

/** Of the Envoy that this process runs. */
export function registerProcessMetrics(metrics: Metrics, supervisor: Pick<EnvoySupervisor, "state">): void {
  metrics.gauge("credence_envoy_live", "1 when Envoy runs with a configuration.", () => [
    { labels: {}, value: supervisor.state.phase === "live" ? 1 : 0 },
  ]);
  metrics.counter("credence_envoy_starts_total", "How often Envoy was started.", () => [
    { labels: {}, value: supervisor.state.starts },
  ]);
}
