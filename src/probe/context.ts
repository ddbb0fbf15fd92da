import type { CredentialReader, CredentialStatuses } from "../credentials/credential.ts";
import type { DiscoveredEndpoints } from "../endpoints/discovered.ts";
import type { EndpointReader } from "../endpoints/endpoint.ts";

/** What a probe has from who asks for it. */
export interface ProbeContext {
  readonly credentials: CredentialReader & { readonly statuses: CredentialStatuses };
  readonly endpoints: EndpointReader;
  /** Addresses that a resolver other than DNS knows. */
  readonly discovered: DiscoveredEndpoints;
  readonly now: number;
  /** What the issuer of a credential fails at; null: nothing. */
  readonly issuerTrouble: (name: string) => string | null;
  /** Instead of the cluster's connect timeout. */
  readonly timeoutMs: number | null;
  /** For how long a peer may refuse our certificate once the handshake is done. */
  readonly settleMs: number;
  /** e.g. `HEAD /healthz`: sent once the peer has been found good; null: nothing is. */
  readonly request: { readonly method: string; readonly path: string } | null;
  /** `file:line` of a field of an object, by the model's names; null: not known. */
  readonly place: (object: string, field: string) => string | null;
}
