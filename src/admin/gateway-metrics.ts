import type { Control } from "../control/control.ts";
import type { CredentialStore } from "../credentials/store.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** What alarms are set on, whatever the engine: is it ready, what is wrong, what runs out. */
export function registerGatewayMetrics(metrics: Metrics, control: Control, store: CredentialStore): void {
  metrics.gauge("credence_ready", "1 when check_ready answers 200.", () => [
    { labels: {}, value: control.state.ready ? 1 : 0 },
  ]);
  metrics.gauge("credence_revision", "Number of the revision that serves; 0 before the first.", () => [
    { labels: {}, value: control.state.revision?.number ?? 0 },
  ]);
  metrics.gauge("credence_diagnostics", "Findings that stand, by severity.", () => {
    const { diagnostics } = control.state;
    return ["error", "warning", "info"].map((severity) => ({
      labels: { severity },
      value: diagnostics.filter((found) => found.severity === severity).length,
    }));
  });
  metrics.gauge(
    "credence_credential_usable",
    "1 when the credential can be presented, or the trust bundle used.",
    () =>
      store.all().map(({ name, kind, status }) => ({ labels: { name, kind }, value: status.usable ? 1 : 0 })),
  );
  metrics.gauge("credence_credential_generation", "Counts up with every published change.", () =>
    store.all().map(({ name, kind, generation }) => ({ labels: { name, kind }, value: generation })),
  );
  metrics.gauge(
    "credence_certificate_expiry_timestamp_seconds",
    "Earliest end of any certificate of the credential, in seconds since the epoch.",
    () =>
      store
        .all()
        .filter(({ facts }) => facts.length > 0)
        .map(({ name, kind, facts }) => ({
          labels: { name, kind },
          value: Math.min(...facts.map(({ notAfter }) => notAfter)) / 1000,
        })),
  );
}
