import type { HandshakeReason } from "./handshake.ts";

/**
 * What a code that Node gives an error of TLS says of the handshake: OpenSSL's reason (`ERR_SSL_…`), its verdict on a chain
 * (X509_V_ERR without the prefix) or an alert of the peer's. Null: nothing that this list knows. `presented`: we have shown a
 * certificate, which tells a refused one from a missing one; `side` is ours. `credence probe` asks the same list.
 */
export function reasonOfCode(
  code: string,
  { side, presented }: { readonly side: "client" | "server"; readonly presented: boolean },
): HandshakeReason | null {
  const alert = alertOf(code);
  if (alert === null) return BY_VERDICT[code] ?? BY_ERROR[code] ?? null;
  if (!ABOUT_CERTIFICATES.has(alert)) return BY_ALERT[alert] ?? "handshake_failed";
  if (side === "server") return "server_certificate_refused";
  // Up to TLS 1.2 servers have no alert of its own for the certificate that was not sent.
  return presented && alert !== "certificate required"
    ? "client_certificate_refused"
    : "client_certificate_missing";
}

/** The peer's alert (RFC 8446 §6.2) in OpenSSL's words, e.g. `unknown ca`; null: the code is of none. */
export function alertOf(code: string): string | null {
  const found = ALERT.exec(code)?.[1] ?? ALERTS_WITHOUT_THE_WORD.exec(code)?.[1];
  return found === undefined ? null : found.toLowerCase().replaceAll("_", " ");
}

/** e.g. ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED, ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE. */
const ALERT = /^ERR_SSL_.*ALERT_(.+)$/;
/** Those of RFC 6066. */
const ALERTS_WITHOUT_THE_WORD =
  /^ERR_SSL_TLSV1_(UNRECOGNIZED_NAME|UNSUPPORTED_EXTENSION|CERTIFICATE_UNOBTAINABLE|BAD_CERTIFICATE_STATUS_RESPONSE)$/;

/** The alerts that a peer sends about the certificate that it was shown, or was not. */
const ABOUT_CERTIFICATES = new Set([
  "bad certificate",
  "unsupported certificate",
  "certificate revoked",
  "certificate expired",
  "certificate unknown",
  "unknown ca",
  "access denied",
  "certificate required",
  "bad certificate status response",
]);

const BY_ALERT: Readonly<Record<string, HandshakeReason>> = {
  "protocol version": "no_common_version",
  "inappropriate fallback": "no_common_version",
  "handshake failure": "no_agreement",
  "insufficient security": "no_agreement",
  "missing extension": "no_agreement",
  "no application protocol": "alpn_mismatch",
  "unrecognized name": "sni_unknown",
};

/** OpenSSL's verdict on a chain. Where the chain itself can be looked at, x509/verify.ts tells more. */
const BY_VERDICT: Readonly<Record<string, HandshakeReason>> = {
  CERT_HAS_EXPIRED: "certificate_expired",
  CERT_NOT_YET_VALID: "certificate_not_yet_valid",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "issuer_unknown",
  UNABLE_TO_GET_ISSUER_CERT: "issuer_unknown",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "issuer_unknown",
  SELF_SIGNED_CERT_IN_CHAIN: "issuer_unknown",
  CERT_UNTRUSTED: "issuer_unknown",
  CERT_REJECTED: "issuer_unknown",
  DEPTH_ZERO_SELF_SIGNED_CERT: "self_signed_leaf",
  CERT_SIGNATURE_FAILURE: "signature_invalid",
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: "signature_invalid",
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: "certificate_malformed",
  INVALID_CA: "issuer_not_ca",
  INVALID_PURPOSE: "purpose_wrong",
  PATH_LENGTH_EXCEEDED: "path_too_long",
  CERT_CHAIN_TOO_LONG: "chain_too_deep",
  CERT_REVOKED: "revoked",
  UNABLE_TO_GET_CRL: "crl_missing",
  CRL_HAS_EXPIRED: "crl_stale",
  HOSTNAME_MISMATCH: "name_mismatch",
  ERR_TLS_CERT_ALTNAME_INVALID: "name_mismatch",
};

/** What OpenSSL itself objected to. A client learns of most disagreements by an alert; the server knows what did not meet. */
const BY_ERROR: Readonly<Record<string, HandshakeReason>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: "no_common_version",
  ERR_SSL_VERSION_TOO_LOW: "no_common_version",
  ERR_SSL_VERSION_TOO_HIGH: "no_common_version",
  ERR_SSL_WRONG_SSL_VERSION: "no_common_version",
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: "no_common_version",
  ERR_SSL_INAPPROPRIATE_FALLBACK: "no_common_version",
  // Up to TLS 1.2 a suite is shared only with a group and a kind of certificate that serve it.
  ERR_SSL_NO_SHARED_CIPHER: "no_common_cipher",
  ERR_SSL_NO_CIPHERS_AVAILABLE: "no_common_cipher",
  ERR_SSL_WRONG_CIPHER_RETURNED: "no_common_cipher",
  ERR_SSL_UNKNOWN_CIPHER_RETURNED: "no_common_cipher",
  ERR_SSL_NO_SUITABLE_KEY_SHARE: "no_common_group",
  ERR_SSL_NO_SUITABLE_GROUPS: "no_common_group",
  ERR_SSL_NO_SHARED_GROUPS: "no_common_group",
  ERR_SSL_WRONG_CURVE: "no_common_group",
  ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS: "no_common_signature",
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: "no_common_signature",
  ERR_SSL_WRONG_SIGNATURE_TYPE: "no_common_signature",
  ERR_SSL_NO_APPLICATION_PROTOCOL: "alpn_mismatch",
  // The other side signs with a key that is not its certificate's; we would with one that is not ours.
  ERR_SSL_BAD_SIGNATURE: "key_mismatch",
  ERR_SSL_PROVIDER_SIGNATURE_FAILURE: "key_mismatch",
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: "key_mismatch",
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "client_certificate_missing",
  // What cleartext looks like when it is read as TLS records.
  ERR_SSL_WRONG_VERSION_NUMBER: "plaintext_peer",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "plaintext_peer",
  ERR_SSL_BAD_RECORD_TYPE: "plaintext_peer",
  ERR_SSL_HTTP_REQUEST: "plaintext_peer",
  ERR_SSL_HTTPS_PROXY_REQUEST: "plaintext_peer",
  ERR_TLS_HANDSHAKE_TIMEOUT: "handshake_timeout",
};
