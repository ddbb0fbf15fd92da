/**
 * Why a handshake with a peer came to nothing, either way: the closed list that probe, the access log, metrics and the
 * diag page share. `peer` reads for an upstream and for a client alike; `remedy` says whose turn it is.
 */
export const HANDSHAKE_REASONS = {
  // What the peer's certificate lacks: x509/faults.ts.
  certificate_expired: {
    is: "the peer's certificate is past its end",
    remedy: "Renew the peer's certificate; look at the clocks of both sides.",
  },
  certificate_not_yet_valid: {
    is: "the peer's certificate is not valid yet",
    remedy: "Look at the clocks of both sides, or wait until it is.",
  },
  issuer_unknown: {
    is: "the peer's certificate chains to none of the CAs that are trusted here",
    remedy:
      "Give the CA that issued it (`ca_secret`); if that is an intermediate, have the peer send it; or have it use a certificate of a CA that is trusted.",
  },
  intermediate_missing: {
    is: "the peer does not send the certificate between its own and a CA that is trusted here",
    remedy: "Have the peer send its whole chain (leaf first, then intermediates).",
  },
  self_signed_leaf: {
    is: "the peer's certificate is self-signed and not trusted here itself",
    remedy: "Give that certificate as the CA, or have the peer use one that a CA issued.",
  },
  name_mismatch: {
    is: "the peer's certificate is for other names",
    remedy:
      "Write `sni` (or `verify.dns_names`) with a name that it has, or have it issued with the name that is expected.",
  },
  spiffe_id_mismatch: {
    is: "the peer's SPIFFE ID is none of those that are expected",
    remedy:
      "Write the ID or its trust domain into `verify`, or find out who answers there; without exactly one URI that is a SPIFFE ID, have it issued anew.",
  },
  pin_mismatch: {
    is: "the peer's public key is none of those that are pinned",
    remedy: "Add the pin of the new key to `verify.spki_sha256` if the change of key was meant.",
  },
  purpose_wrong: {
    is: "the peer's certificate is not meant for this side of TLS (key usage)",
    remedy: "Have it issued with serverAuth for servers, clientAuth for clients.",
  },
  issuer_not_ca: {
    is: "a certificate of the peer's chain issued another without being a CA",
    remedy: "Have the chain issued by a CA (basicConstraints CA:TRUE and keyCertSign).",
  },
  path_too_long: {
    is: "the chain is longer than a CA of it allows (pathLenConstraint)",
    remedy: "Have the certificate issued by a CA that the constraint allows.",
  },
  chain_too_deep: {
    is: "the chain has more intermediates than `verify.max_depth` allows",
    remedy: "Raise `max_depth`, or have a shorter chain issued.",
  },
  name_constraint: {
    is: "a name of the certificate is outside of what its CA may issue (nameConstraints)",
    remedy: "Have it issued by a CA that may vouch for that name.",
  },
  critical_extension_unknown: {
    is: "a certificate of the chain has a critical extension that is not understood",
    remedy: "Have it issued without that extension, or not critical.",
  },
  key_weak: {
    is: "a key of the peer's chain is too weak",
    remedy: "Have it issued for RSA of 2048 bits or more, P-256, P-384 or Ed25519.",
  },
  signature_weak: {
    is: "a signature of the peer's chain uses a broken algorithm",
    remedy: "Have it issued again with SHA-256 or better.",
  },
  signature_invalid: {
    is: "a signature of the peer's chain does not verify",
    remedy: "The chain was altered or put together wrongly: install what the CA delivered.",
  },
  revoked: {
    is: "a certificate of the peer's chain is revoked",
    remedy: "Have the peer use a new certificate; its CA says why it was revoked.",
  },
  crl_missing: {
    is: "there is no revocation list of one of the chain's CAs",
    remedy: "Add that CA's CRL to `crl_file` or `crl_secret`, or set `crl_policy`.",
  },
  crl_stale: {
    is: "the revocation list of one of the chain's CAs is past its nextUpdate",
    remedy: "Fetch a new CRL, or set `crl_policy`.",
  },
  certificate_malformed: {
    is: "a certificate of the peer's chain cannot be read",
    remedy: "Install the certificate again as its CA delivered it.",
  },
  // What we have to show.
  key_mismatch: {
    is: "a private key does not belong to the certificate that is shown with it",
    remedy: "Install key and certificate of one issue, on the side that shows them.",
  },
  credential_unavailable: {
    is: "our own certificate or CA is missing, expired or refused",
    remedy: "See the finding about the credential.",
  },
  client_certificate_missing: {
    is: "a client certificate was asked for and none was sent",
    remedy: "Give the client a certificate of the CA that is asked for.",
  },
  client_certificate_refused: {
    is: "the peer refused our client certificate",
    remedy: "Compare our issuer with the CAs that the peer names, and its dates and purposes.",
  },
  server_certificate_refused: {
    is: "the client refused our server certificate",
    remedy: "Give the client our CA; look at the names and dates of the certificate.",
  },
  // What could not be agreed upon.
  no_common_version: {
    is: "no TLS version is spoken by both sides",
    remedy: "Widen `min_tls_version`/`max_tls_version`, or update the peer.",
  },
  no_common_cipher: {
    is: "no cipher suite is taken by both sides",
    remedy: "Add one that the peer has to `cipher_suites`.",
  },
  no_common_group: {
    is: "no key exchange group is taken by both sides",
    remedy: "Add one that the peer has to `ecdh_curves`.",
  },
  no_common_signature: {
    is: "no signature algorithm is taken by both sides",
    remedy: "Use a certificate with a kind of key that the peer takes.",
  },
  no_agreement: {
    is: "cipher suites, groups or signature algorithms do not meet; TLS does not say which",
    remedy: "`credence probe` dials again with wider offers and finds out.",
  },
  alpn_mismatch: {
    is: "no application protocol is spoken by both sides",
    remedy: "Write `alpn_protocols` with one that the peer has.",
  },
  sni_unknown: {
    is: "the server name is not known to the server",
    remedy: "Write `sni` with a name that the server serves.",
  },
  settings_changed: {
    is: "our TLS settings changed while the handshake, or the session to be resumed, was under way",
    remedy: "Nothing: a client that tries again meets the new ones.",
  },
  // What was no TLS at all, or no more.
  plaintext_peer: {
    is: "the peer does not speak TLS on this port",
    remedy: "Dial the port that does, or write the service with http:// and no `tls`.",
  },
  tls_peer: {
    is: "the peer speaks TLS where cleartext is expected",
    remedy: "Write the service with https://, or with `tls`.",
  },
  proxy_header_expected: {
    is: "the peer seems to wait for a PROXY protocol header",
    remedy: "Dial it without the PROXY protocol on its side, or on another port.",
  },
  handshake_closed: {
    is: "the peer ended the connection in the handshake",
    remedy: "Its log says why; `credence probe` shows at which step.",
  },
  handshake_reset: {
    is: "the connection was reset in the handshake",
    remedy: "Look for a firewall or a crashing peer; `credence probe` shows at which step.",
  },
  handshake_timeout: {
    is: "the handshake took too long",
    remedy: "Look at the peer's load and the network; `credence probe` shows at which step.",
  },
  handshake_failed: {
    is: "TLS objects to what was received",
    remedy: "`credence probe` shows at which step, and what.",
  },
  // Before it.
  dns_failure: { is: "the name has no address", remedy: "Look at the service's name and the resolver." },
  connect_refused: { is: "nothing listens there", remedy: "Look at the port, and whether the peer runs." },
  connect_timeout: {
    is: "no answer to the connection attempt",
    remedy: "Look at the address, and for a firewall.",
  },
  connect_failed: { is: "the connection could not be made", remedy: "The cause names the system's error." },
} as const satisfies Readonly<Record<string, { readonly is: string; readonly remedy: string }>>;

export type HandshakeReason = keyof typeof HANDSHAKE_REASONS;

/** Whose turn it is where the peer is a client, for reasons whose `remedy` speaks of an upstream. */
export const CLIENT_REMEDIES: Readonly<Partial<Record<HandshakeReason, string>>> = {
  name_mismatch:
    "Write a name that it has into `verify.dns_names`, or give the client a certificate with one that is there.",
  spiffe_id_mismatch:
    "Write the ID or its trust domain into `verify`, or find out who this client is; without exactly one URI that is a SPIFFE ID, have it issued anew.",
  no_agreement:
    "Compare what the client offers with `cipher_suites`, `ecdh_curves` and the kind of key of the certificate.",
  sni_unknown:
    "Add the name to the `hosts` of a TLSContext or a Host, or have the client ask for one that is served.",
  plaintext_peer: "Have the client speak https here, or send it to the http port.",
  handshake_closed: "The client's log says why it went away.",
  handshake_reset: "Look for a firewall, or a client that gave up.",
  handshake_timeout: "Look at the client and the network between.",
};

/** What a reason means and what to do, where the peer is a client. */
export function explainClient(reason: HandshakeReason): { readonly is: string; readonly remedy: string } {
  const { is, remedy } = HANDSHAKE_REASONS[reason];
  return { is, remedy: CLIENT_REMEDIES[reason] ?? remedy };
}
