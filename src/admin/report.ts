import type { Control, ControlState } from "../control/control.ts";
import type { FailureHistory } from "../control/failures.ts";
import type { CredentialStore } from "../credentials/store.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { FailureRecord } from "../diagnostics/failure.ts";
import type { CertificateFacts } from "../x509/facts.ts";

/** What pages are made from. */
export interface ReportSources {
  readonly control: Control;
  readonly store: CredentialStore;
  readonly failures: FailureHistory;
  readonly engine: { readonly name: string };
}

export interface ReportQuery {
  /** Findings that are errors, and nothing milder. */
  readonly errorsOnly: boolean;
  /** The one failed request with this id. */
  readonly failure: string | null;
}

/** The diagnostics API's answer (design §9, Shapes). Facts only: key bytes are nowhere near. */
export interface Report {
  readonly version: 1;
  /** Number of the revision that serves; null before the first. */
  readonly revision: number | null;
  readonly ready: boolean;
  readonly notReady: string | null;
  readonly diagnostics: readonly Diagnostic[];
  readonly certificates: readonly ReportedCredential[];
  /** Newest first. */
  readonly failures: readonly FailureRecord[];
  readonly engines: readonly ReportedEngine[];
}

export interface ReportedCredential {
  readonly name: string;
  readonly kind: "credential" | "trust";
  readonly generation: number;
  readonly usable: boolean;
  /** Why not; null when it is usable. */
  readonly reason: string | null;
  /** Leaf first; every anchor of a trust bundle. Times are ISO 8601. */
  readonly chain: readonly (Omit<CertificateFacts, "notBefore" | "notAfter"> & {
    readonly notBefore: string;
    readonly notAfter: string;
  })[];
}

export interface ReportedEngine {
  readonly name: string;
  readonly revision: number | null;
  /** SHA-256 of the model that serves. */
  readonly hash: string | null;
  readonly listeners: ControlState["listeners"];
  /** A fault of Credence's own in the last reload: the revision above is the last good one. */
  readonly fault: string | null;
}

export function createReport(sources: ReportSources, query: ReportQuery): Report {
  const { control, store, failures, engine } = sources;
  const { revision, ready, notReady, diagnostics, listeners, fault } = control.state;
  const { failure } = query;
  const sought = failure === null ? undefined : failures.find(failure);
  const number = revision?.number ?? null;
  return {
    version: 1,
    revision: number,
    ready,
    notReady,
    diagnostics: query.errorsOnly ? diagnostics.filter(({ severity }) => severity === "error") : diagnostics,
    certificates: store
      .all()
      .map(({ name, kind, generation, status, facts }) => ({
        name,
        kind,
        generation,
        usable: status.usable,
        reason: status.usable ? null : `${status.code}: ${status.reason}`,
        chain: facts.map((certificate) => ({
          ...certificate,
          notBefore: isoTime(certificate.notBefore),
          notAfter: isoTime(certificate.notAfter),
        })),
      }))
      .sort((a, b) => (`${a.name} ${a.kind}` < `${b.name} ${b.kind}` ? -1 : 1)),
    failures: failure === null ? failures.recent() : sought === undefined ? [] : [sought],
    engines: [{ name: engine.name, revision: number, hash: revision?.hash ?? null, listeners, fault }],
  };
}

/** Certificates may hold times that no calendar does. */
function isoTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? String(milliseconds) : time.toISOString();
}
