import type { Finding } from "./admission.ts";
import type { CredentialKind, CredentialOrigin, CredentialStatus } from "./credential.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import type { RevocationListFacts } from "../x509/revocation.ts";
import type { Face } from "./face.ts";

/** A row of pages and metrics: facts only. */
export interface CredentialListing {
  readonly name: string;
  readonly kind: CredentialKind;
  readonly generation: number;
  readonly status: CredentialStatus;
  /** Of certificates; of revocation lists there is `lists`. */
  readonly facts: readonly CertificateFacts[];
  readonly lists?: readonly RevocationListFacts[];
  readonly origin: CredentialOrigin;
  /** The last offer, where it was not taken: what was published before it stays. */
  readonly rejected: Finding | null;
}

/** What is to be seen of a face at `now`. */
export function listingOf(face: Face, now: number): CredentialListing {
  return {
    name: face.name,
    kind: face.kind,
    generation: face.generation,
    status: face.status(now),
    ...factsOf(face),
    origin: face.origin,
    rejected: face.rejected,
  };
}

function factsOf({ published }: Face): Pick<CredentialListing, "facts" | "lists"> {
  if (published === null) return { facts: [] };
  const { value } = published;
  if ("answers" in value) return { facts: [] };
  return "lists" in value ? { facts: [], lists: value.lists.facts } : { facts: value.facts };
}
