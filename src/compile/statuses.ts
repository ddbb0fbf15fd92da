import type { EngineName } from "../model/capabilities.ts";

/**
 * What compile may know of credentials: enough to fail closed, nothing that changes with a rotation. It is the shape of
 * credentials/CredentialStatuses, said again because compile reads facts and may not know the store.
 */
export interface CredentialStatuses {
  credential(name: string): Status | undefined;
  trust(name: string): Status | undefined;
  crl(name: string): Status | undefined;
  hasTrustAnchors(name: string): boolean;
}

export type Status =
  /** `refusedByEnvoy`: why the envoy engine cannot use it all the same. `trustDomain`: of its SPIFFE ID. `byTrustDomain`: of anchors. */
  | {
      readonly usable: true;
      readonly refusedByEnvoy?: string;
      readonly trustDomain?: string;
      readonly byTrustDomain?: true;
    }
  | { readonly usable: false; readonly code: string; readonly reason: string };

/** As the engine sees them: what it would refuse is unusable to it, and closes what names it before the engine is told. */
export function statusesFor(engine: EngineName, statuses: CredentialStatuses): CredentialStatuses {
  if (engine !== "envoy") return statuses;
  return {
    credential: (name) => asEnvoySees(statuses.credential(name), "present"),
    trust: (name) => asEnvoySees(statuses.trust(name), "read"),
    crl: (name) => statuses.crl(name),
    hasTrustAnchors: (name) => statuses.hasTrustAnchors(name),
  };
}

function asEnvoySees(status: Status | undefined, does: "present" | "read"): Status | undefined {
  if (status?.usable !== true || status.refusedByEnvoy === undefined) return status;
  const reason = `Envoy does not ${does} ${status.refusedByEnvoy}`;
  return { usable: false, code: "tls-engine-cannot", reason };
}

/** Whether each of a bundle's anchors vouches for one trust domain alone. */
export function isByTrustDomain(status: Status | undefined): boolean {
  return status?.usable === true && status.byTrustDomain === true;
}

/** The trust domain of a certificate's SPIFFE ID; undefined: it has none, or cannot be used. */
export function trustDomainOf(status: Status | undefined): string | undefined {
  return status?.usable === true ? status.trustDomain : undefined;
}
