import type { Metrics, Sample } from "../telemetry/metrics.ts";
import type { ReportedPlane } from "./report.ts";

/** What alarms are set on, whatever the engine: is it ready, what is wrong, what runs out. Groups of a fleet by their label. */
export function registerGatewayMetrics(
  metrics: Metrics,
  planes: readonly Pick<ReportedPlane, "group" | "control" | "store" | "handshakes">[],
): void {
  const each =
    (read: (plane: Pick<ReportedPlane, "control" | "store" | "handshakes">) => Iterable<Sample>) => () =>
      planes.flatMap((plane) => {
        const samples = [...read(plane)];
        const { group } = plane;
        return group === undefined
          ? samples
          : samples.map(({ labels, value }) => ({ labels: { group, ...labels }, value }));
      });
  metrics.gauge(
    "credence_ready",
    "1 when check_ready answers 200.",
    each(({ control }) => [{ labels: {}, value: control.state.ready ? 1 : 0 }]),
  );
  metrics.gauge(
    "credence_revision",
    "Number of the revision that serves; 0 before the first.",
    each(({ control }) => [{ labels: {}, value: control.state.revision?.number ?? 0 }]),
  );
  metrics.gauge(
    "credence_diagnostics",
    "Findings that stand, by severity.",
    each(({ control }) => {
      const { diagnostics } = control.state;
      return ["error", "warning", "info"].map((severity) => ({
        labels: { severity },
        value: diagnostics.filter((found) => found.severity === severity).length,
      }));
    }),
  );
  metrics.counter(
    "credence_handshake_failures_total",
    "Tries that did not reach an upstream, and failed handshakes of clients, by reason.",
    each(({ handshakes: { upstream, downstream } }) => [
      ...samples("upstream", upstream),
      ...samples("downstream", downstream),
    ]),
  );
  metrics.gauge(
    "credence_credential_usable",
    "1 when the credential can be presented, or the trust bundle used.",
    each(({ store }) =>
      store.all().map(({ name, kind, status }) => ({ labels: { name, kind }, value: status.usable ? 1 : 0 })),
    ),
  );
  metrics.gauge(
    "credence_credential_generation",
    "Counts up with every published change.",
    each(({ store }) =>
      store.all().map(({ name, kind, generation }) => ({ labels: { name, kind }, value: generation })),
    ),
  );
  metrics.gauge(
    "credence_certificate_not_after_seconds",
    "End of each certificate, in seconds since the epoch: of a chain (leaf at 0) or a CA bundle.",
    each(({ store }) =>
      store.all().flatMap(({ name, kind, facts }) =>
        facts.map(({ subject, serial, notAfter }, position) => ({
          labels: { name, kind, position: String(position), subject, serial },
          value: notAfter / 1000,
        })),
      ),
    ),
  );
  metrics.gauge(
    "credence_crl_next_update_seconds",
    "When each revocation list was to be replaced, in seconds since the epoch; 0 where it does not say.",
    each(({ store }) =>
      store.all().flatMap(({ name, lists = [] }) =>
        lists.map(({ issuer, sha256, nextUpdate }) => ({
          labels: { name, issuer, sha256: sha256.slice(0, 16) },
          value: (nextUpdate ?? 0) / 1000,
        })),
      ),
    ),
  );
  metrics.gauge(
    "credence_certificate_expiry_timestamp_seconds",
    "Earliest end of any certificate of the credential, in seconds since the epoch.",
    each(({ store }) =>
      store
        .all()
        .filter(({ facts }) => facts.length > 0)
        .map(({ name, kind, facts }) => ({
          labels: { name, kind },
          value: Math.min(...facts.map(({ notAfter }) => notAfter)) / 1000,
        })),
    ),
  );
}

function samples(direction: string, counts: ReadonlyMap<string, number>): Sample[] {
  return [...counts].map(([reason, value]) => ({ labels: { direction, reason }, value }));
}
