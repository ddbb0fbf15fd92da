import type { Effect, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import type { RevocationLists } from "../x509/revocation.ts";
import type { OcspResponse } from "../x509/ocsp.ts";

/** A private key with its certificate chain, checked and ready to be presented. Stays inside the process. */
export interface Credential {
  readonly name: string;
  /** Counts up with every published change of this name. */
  readonly generation: number;
  /** PEM, leaf first, in chain order. */
  readonly certificateChain: string;
  /** PEM, PKCS#8 or as given. Never logged, dumped or written. */
  readonly privateKey: string;
  /** Leaf first. */
  readonly facts: readonly CertificateFacts[];
  /** Milliseconds since the epoch: the earliest end of any certificate in the chain. */
  readonly notAfter: number;
  /** The leaf's SPIFFE ID, if it has exactly one. */
  readonly spiffeId?: string;
  /** Why Envoy would not present it, one clause; absent: it would. */
  readonly refusedByEnvoy?: string;
  /** The certificate says that its server sends an OCSP staple (RFC 7633): without one, clients that heed that refuse it. */
  readonly mustStaple?: true;
  /** To be sent with it to clients that ask; absent: none is given, or it is out of its dates. */
  readonly ocspStaple?: OcspStaple;
}

/** A CA's word, signed and dated, that a certificate is not revoked (RFC 6960), for clients that ask for it (RFC 6066 §8). */
export interface OcspStaple {
  /** DER. */
  readonly response: Buffer;
  /** Milliseconds since the epoch; null: it does not say. */
  readonly nextUpdate: number | null;
}

/** A staple as it is given, by itself: it is of whatever certificate it is about. */
export interface GivenStaple extends OcspStaple, OcspResponse {
  readonly name: string;
  readonly generation: number;
}

export interface TrustBundle {
  readonly name: string;
  readonly generation: number;
  /** One PEM certificate an entry. */
  readonly anchors: readonly string[];
  /** Where each of them vouches for SPIFFE IDs of one trust domain alone, and for nothing else: those of each domain. */
  readonly domains?: Readonly<Record<string, readonly string[]>>;
  /** Why Envoy would not read them, one clause; absent: it would. */
  readonly refusedByEnvoy?: string;
  readonly facts: readonly CertificateFacts[];
}

/** Revocation lists of any number of CAs. A list that has gone stale is still here: `crl_policy` says what it is worth. */
export interface RevocationBundle {
  readonly name: string;
  readonly generation: number;
  /** Read once, for `PeerExpectation.revocation`. */
  readonly lists: RevocationLists;
  /** One PEM list an entry. */
  readonly pem: readonly string[];
}

/** What compile may know of a name: enough to fail closed, nothing that changes with a rotation. */
export type CredentialStatus =
  | {
      readonly usable: true;
      readonly refusedByEnvoy?: string;
      /** Of the leaf's SPIFFE ID: names of peers are made of it. */
      readonly trustDomain?: string;
      /** Of anchors: each vouches for one trust domain alone, which on Envoy is another validator. */
      readonly byTrustDomain?: true;
    }
  /** `code` is a diagnostic code, `reason` one sentence without key material. */
  | { readonly usable: false; readonly code: string; readonly reason: string };

/** The facts-only view that compile reads. Undefined: nothing of that name was ever offered. */
export interface CredentialStatuses {
  credential(name: string): CredentialStatus | undefined;
  trust(name: string): CredentialStatus | undefined;
  crl(name: string): CredentialStatus | undefined;
  /** A CA was given beside the certificate (`ca.crt`, `root-cert.pem`, `cacert_chain_file`), usable or not. */
  hasTrustAnchors(name: string): boolean;
}

/** Bytes as a source found them, before admission. A Secret may give all three; each may be absent. */
export interface CredentialMaterial {
  readonly certificateChain?: string;
  readonly privateKey?: string;
  /** `ca.crt`, `root-cert.pem` or `cacert_chain_file`. */
  readonly trustAnchors?: string;
  /** They are for clients alone, which may have certificates of other CAs than the one beside them. */
  readonly anchorsAreOfClients?: true;
  /** `crl.pem` or `crl_file`. */
  readonly crl?: string;
  /** `ocsp_staple_file`, in base64. */
  readonly ocspStaple?: string;
  /** The same anchors by SPIFFE trust domain, where those of one do not vouch for another. */
  readonly trustDomains?: Readonly<Record<string, string>>;
  /** Parts that are named and could not be read, each with the reason; their text is empty. */
  readonly unreadable?: Readonly<Partial<Record<MaterialPart, Unreadable>>>;
}

export type MaterialPart = "certificateChain" | "privateKey" | "trustAnchors" | "crl" | "ocspStaple";

export interface Unreadable {
  /** Absent: certificate-file-unreadable. */
  readonly code?: "outside-group";
  /** What could not be read, and why; one sentence. */
  readonly message: string;
  /** Where it is named, if that is another place than the origin's. */
  readonly source?: SourcePosition;
}

/** Which object or file a credential came from, for its diagnostics. */
export interface CredentialOrigin {
  readonly subject: Subject;
  readonly source?: SourcePosition | undefined;
  /** The files that hold it, where files are named. */
  readonly files?: Readonly<Partial<Record<MaterialPart, string>>>;
  /** What it costs that nothing is in use, where that is not what the code says: the origin is its only user. */
  readonly costs?: Effect;
}

/** The faces of a name: a key with its certificate, trust anchors, revocation lists, and an OCSP response. */
export type CredentialKind = "credential" | "trust" | "crl" | "staple";

/** Published, or withdrawn (`unusable`), under `name`. `rotated` needs no recompilation, the other two do. */
export interface CredentialChange {
  readonly name: string;
  readonly kind: CredentialKind;
  readonly event: "usable" | "rotated" | "unusable";
  readonly generation: number;
}

/** What engines read. */
export interface CredentialReader {
  /** Undefined while missing, unusable, not yet valid or expired. */
  credential(name: string): Credential | undefined;
  trust(name: string): TrustBundle | undefined;
  crl(name: string): RevocationBundle | undefined;
  /** Returns the function that ends the subscription. */
  onChange(listener: (change: CredentialChange) => void): () => void;
}
