/**
 * What compile may know of credentials: enough to fail closed, nothing that changes with a rotation. It is the shape of
 * credentials/CredentialStatuses, said again because compile reads facts and may not know the store.
 */
export interface CredentialStatuses {
  credential(name: string): Status | undefined;
  trust(name: string): Status | undefined;
  hasTrustAnchors(name: string): boolean;
}

export type Status =
  | { readonly usable: true }
  | { readonly usable: false; readonly code: string; readonly reason: string };
