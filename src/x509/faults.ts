/**
 * What can be wrong with a peer's certificate, each told apart from the others: a closed list. `diagnostics/handshake.ts`
 * has the words and the remedy of each, among the other ways in which a handshake fails.
 */
export type CertificateFault =
  | "certificate_expired"
  | "certificate_not_yet_valid"
  /** No certificate of the path is an anchor, and no issuer is known to be left out. */
  | "issuer_unknown"
  /** The leaf's issuer is neither sent nor an anchor, though an anchor stands above it or is named as another's issuer. */
  | "intermediate_missing"
  /** The leaf is its own issuer and is no anchor. */
  | "self_signed_leaf"
  | "name_mismatch"
  | "spiffe_id_mismatch"
  | "pin_mismatch"
  /** Extended key usage or key usage (RFC 5280 §4.2.1.3, §4.2.1.12). */
  | "purpose_wrong"
  | "issuer_not_ca"
  | "path_too_long"
  | "chain_too_deep"
  | "name_constraint"
  | "critical_extension_unknown"
  | "key_weak"
  | "signature_weak"
  /** A signature of the path that does not verify. */
  | "signature_invalid"
  | "revoked"
  | "crl_missing"
  | "crl_stale"
  /** DER or PEM that cannot be read. */
  | "certificate_malformed";
