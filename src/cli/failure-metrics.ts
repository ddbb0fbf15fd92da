import type { Metrics } from "../telemetry/metrics.ts";

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
