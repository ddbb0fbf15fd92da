export type TlsVersion = "v1.0" | "v1.1" | "v1.2" | "v1.3";

/** Name of a key and certificate chain in the credential store, e.g. `secret/default/upstream-certs`. */
export type CredentialName = string;

/** Name of a set of trust anchors in the credential store. The name space is that of credentials. */
export type TrustName = string;

/** What is offered in a handshake, either way. An empty list means the engine's default. */
export interface TlsParameters {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL cipher names for TLS 1.2 and below, IANA names for TLS 1.3 suites, in order of preference. */
  readonly cipherSuites: readonly string[];
  /** Key exchange groups, e.g. `X25519MLKEM768`, `P-256`, in order of preference. */
  readonly groups: readonly string[];
  readonly alpn: readonly string[];
  /** What is inside of TLS is not known: without `alpn` no protocol is named, and any is taken. Absent: it is HTTP. */
  readonly carries?: "bytes";
}

/** How one server name is served. An mTLS host without a trust bundle cannot be written down. */
export type ServerTls =
  | { readonly mode: "cleartext" }
  | {
      readonly mode: "terminate";
      readonly credential: CredentialName;
      readonly clients: ClientAuth;
      readonly parameters: TlsParameters;
    }
  /** The host exists and its TLS cannot be served: every handshake is refused. `code` is the diagnostic's. */
  | { readonly mode: "refuse"; readonly code: string };

export type ClientAuth =
  | { readonly mode: "none" }
  /** A certificate is asked for; one that is sent must chain to `trust` and keep to `rules`. */
  | { readonly mode: "optional"; readonly trust: TrustName; readonly rules?: PeerRules }
  | { readonly mode: "required"; readonly trust: TrustName; readonly rules?: PeerRules };

/** What a peer must show beside a chain to the anchors. All that is given must hold; of each list, one entry is enough. */
export interface PeerRules {
  /** Instead of the name that was dialled. Absent: an upstream must have that name, a client any. */
  readonly identities?: PeerIdentities;
  /** SHA-256 of the SubjectPublicKeyInfo, base64 with padding; one must be the leaf's. */
  readonly spkiSha256?: readonly string[];
  readonly revocation?: {
    /** Name of revocation lists in the credential store. */
    readonly crl: string;
    /** `allow-stale` goes on with a list that is past its nextUpdate, `allow-missing` without a CA's list as well. */
    readonly policy: "require" | "allow-stale" | "allow-missing";
  };
  /** Intermediates between leaf and anchor at most. */
  readonly maxDepth?: number;
}

/** At least one list is there, and the peer must match one entry of any. */
export interface PeerIdentities {
  /** DNS names in lower case, or `*.suffix` for any number of labels before it. */
  readonly dnsNames?: readonly string[];
  readonly spiffeIds?: readonly string[];
  /** Without `spiffe://`. */
  readonly trustDomains?: readonly string[];
}

/** How a cluster is spoken to. */
export type UpstreamTls =
  | { readonly mode: "cleartext" }
  | {
      readonly mode: "originate";
      /** The TLSContext as `namespace/name`; absent for `tls: true` and a bare `https://`. */
      readonly context?: string;
      readonly credential?: CredentialName;
      readonly verification: PeerVerification;
      /** Server name to send (RFC 6066 §3: never an address); absent for an address without `sni`. */
      readonly sni?: string;
      readonly parameters: TlsParameters;
    };

export type PeerVerification =
  /** As 1.14 with no CA given: the peer is not checked. Always with a warning on the Mapping. */
  | { readonly mode: "none" }
  /** Chain to `trust` (RFC 5280) and `name` among the SANs (RFC 9525), a DNS name or an IP address. */
  | {
      readonly mode: "chain-and-name";
      readonly trust: TrustName;
      readonly name: string;
      readonly rules?: PeerRules;
    };
