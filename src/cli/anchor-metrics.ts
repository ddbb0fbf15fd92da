import type { AnchorLedger } from "../credentials/anchor-ledger.ts";
import type { Metrics } from "../telemetry/metrics.ts";

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
