import type { ControlState } from "../control/control.ts";
import type { CredentialListing } from "../credentials/store.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { FailureRecord } from "../diagnostics/failure.ts";

/** The stable shape of `/ambassador/v0/diag/?json=true` (design §9). */
export interface DiagnosticsJson {
  readonly version: 1;
  readonly revision: { readonly number: number; readonly hash: string } | null;
  readonly ready: boolean;
  readonly diagnostics: readonly Diagnostic[];
  readonly certificates: readonly {
    readonly name: string;
    readonly kind: "credential" | "trust";
    readonly generation: number;
    readonly usable: boolean;
    readonly reason: string | null;
    readonly chain: readonly {
      readonly subject: string;
      readonly issuer: string;
      readonly serial: string;
      readonly sha256: string;
      readonly sans: readonly string[];
      readonly notBefore: string;
      readonly notAfter: string;
      readonly key: string;
    }[];
  }[];
  readonly failures: readonly FailureRecord[];
  readonly engines: readonly {
    readonly name: string;
    readonly revision: number | null;
    readonly listeners: readonly string[];
  }[];
}

export function diagnosticsJson(
  state: ControlState,
  credentials: readonly CredentialListing[],
  failures: readonly FailureRecord[],
  engineName: string,
): DiagnosticsJson {
  const revision =
    state.revision === null ? null : { number: state.revision.number, hash: state.revision.hash };
  return {
    version: 1,
    revision,
    ready: state.ready,
    diagnostics: state.diagnostics,
    certificates: credentials.map(({ name, kind, generation, status, facts }) => ({
      name,
      kind,
      generation,
      usable: status.usable,
      reason: status.usable ? null : `${status.code}: ${status.reason}`,
      chain: facts.map((fact) => ({
        subject: fact.subject,
        issuer: fact.issuer,
        serial: fact.serial,
        sha256: fact.sha256,
        sans: [...fact.dnsNames, ...fact.ipAddresses, ...fact.uris],
        notBefore: new Date(fact.notBefore).toISOString(),
        notAfter: new Date(fact.notAfter).toISOString(),
        key: fact.keyType,
      })),
    })),
    failures,
    engines: [
      {
        name: engineName,
        revision: revision?.number ?? null,
        listeners: state.listeners.map(({ name, address, port }) => `${name} ${address}:${port}`),
      },
    ],
  };
}
