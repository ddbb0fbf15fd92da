import type { HandshakeReason } from "../../diagnostics/handshake.ts";

/** What Envoy's words about a connection say of its handshake: the subset that they allow. Null: nothing that is known here. */
export function handshakeOf(words: string, direction: keyof typeof BY_WORDS): HandshakeReason | null {
  return BY_WORDS[direction].find(([pattern]) => pattern.test(words))?.[1] ?? null;
}

type Words = readonly (readonly [RegExp, HandshakeReason])[];

/** The verdict on the peer's chain (BoringSSL's X509_V_ERR texts), and Envoy's own on names and pins. */
const ABOUT_CHAINS: Words = [
  [/certificate has expired/, "certificate_expired"],
  [/certificate is not yet valid/, "certificate_not_yet_valid"],
  [/CRL has expired|CRL is not yet valid/, "crl_stale"],
  [/unable to get certificate CRL|CRL signature failure|unable to get CRL issuer/, "crl_missing"],
  [/certificate revoked/, "revoked"],
  [/depth 0: self[- ]signed certificate/, "self_signed_leaf"],
  [
    /unable to get (?:local )?issuer certificate|self[- ]signed certificate in|unable to verify the first/,
    "issuer_unknown",
  ],
  [/no trusted CA|Trust domain|trust domain/, "issuer_unknown"],
  [/certificate signature failure|unable to decrypt certificate/, "signature_invalid"],
  [/path length constraint exceeded/, "path_too_long"],
  [
    /(?:un)?suitable certificate purpose|unsupported certificate purpose|key usage does not/i,
    "purpose_wrong",
  ],
  [/invalid CA certificate|invalid non-CA/, "issuer_not_ca"],
  [/unhandled critical extension/, "critical_extension_unknown"],
  [/(?:permitted|excluded) subtree|name constraint/i, "name_constraint"],
  [/SAN matcher|verify SAN list/i, "name_mismatch"],
  [/cert hash and spki/, "pin_mismatch"],
  [/PEER_DID_NOT_RETURN_A_CERTIFICATE/, "client_certificate_missing"],
];

/** What both sides cannot agree upon, and what is no TLS. */
const ABOUT_THE_REST: Words = [
  [
    /UNSUPPORTED_PROTOCOL|WRONG_SSL_VERSION|ALERT_PROTOCOL_VERSION|INAPPROPRIATE_FALLBACK/,
    "no_common_version",
  ],
  [/NO_SHARED_CIPHER|WRONG_CIPHER_RETURNED|UNKNOWN_CIPHER_RETURNED/, "no_common_cipher"],
  [/NO_SHARED_GROUP/, "no_common_group"],
  [/NO_COMMON_SIGNATURE_ALGORITHMS|WRONG_SIGNATURE_TYPE/, "no_common_signature"],
  [/NO_APPLICATION_PROTOCOL|INVALID_ALPN_PROTOCOL/, "alpn_mismatch"],
  [/UNRECOGNIZED_NAME/, "sni_unknown"],
  [
    /ALERT_(?:HANDSHAKE_FAILURE|INSUFFICIENT_SECURITY|MISSING_EXTENSION)|HANDSHAKE_FAILURE_ON_CLIENT_HELLO|WRONG_CURVE/,
    "no_agreement",
  ],
  [/WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST/, "plaintext_peer"],
  [/Secret is not supplied by SDS/, "credential_unavailable"],
  [/Connection reset by peer/, "handshake_reset"],
];

/** Alerts about the certificate that the peer was shown. */
const REFUSED =
  /ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_(?:EXPIRED|REVOKED|UNKNOWN)|UNSUPPORTED_CERTIFICATE|NO_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/;

const BY_WORDS = {
  upstream: [
    [/ALERT_CERTIFICATE_REQUIRED/, "client_certificate_missing"],
    [REFUSED, "client_certificate_refused"],
    ...ABOUT_CHAINS,
    ...ABOUT_THE_REST,
    [/TLS_error|SSL routines|CERTIFICATE_VERIFY_FAILED/, "handshake_failed"],
    // Envoy's bound is for both, connection and handshake.
    [/connection_timeout|connect(?:ion)? timeout/, "connect_timeout"],
    [/connect_error:_?\s?(?:111|Connection refused)|Connection refused/i, "connect_refused"],
    [/connect_error|connect error/, "connect_failed"],
    // Without a word of TLS or of the system: the peer has ended it in due form.
    [/\{remote_connection_failure\}/, "handshake_closed"],
  ],
  downstream: [
    [REFUSED, "server_certificate_refused"],
    ...ABOUT_CHAINS,
    ...ABOUT_THE_REST,
    [/TLS_error|SSL routines|CERTIFICATE_VERIFY_FAILED/, "handshake_failed"],
  ],
} as const satisfies Readonly<Record<string, Words>>;
