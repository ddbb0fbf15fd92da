import type { Diagnostic, Effect, Severity, SourcePosition, Subject } from "./diagnostic.ts";

interface CatalogueRow {
  readonly severity: Severity;
  readonly effect: Effect;
  /** What to do, one imperative sentence. A finding may give a more exact one. */
  readonly remedy: string;
}

/** Every code there is, by area. docs/errors.md explains each; a test ties the two both ways. */
export const CATALOGUE = {
  // Files and documents
  "file-unreadable": row(
    "error",
    "kept-previous",
    "Make the file readable, or take it out of the paths given.",
  ),
  "yaml-syntax": row("error", "kept-previous", "Mend the YAML at the place shown."),
  "yaml-ambiguous": row(
    "error",
    "kept-previous",
    "Write each key once, and without anchors that expand without bound.",
  ),
  "document-too-large": row("error", "kept-previous", "Split the file: a document may have at most 1 MiB."),
  // Envelope
  "kind-missing": row("error", "object-ignored", "Give the document apiVersion, kind and metadata.name."),
  "kind-unknown": row("warning", "object-ignored", "Remove the object, or mend the spelling of its kind."),
  "kind-not-supported": row(
    "warning",
    "object-ignored",
    "Do not rely on this object: this version does not act on it.",
  ),
  "api-version-unknown": row("error", "object-ignored", "Use getambassador.io/v2."),
  "object-duplicate": row(
    "error",
    "object-ignored",
    "Keep one of the objects, or rename one: their order must not decide.",
  ),
  "object-repeated": row("warning", "informational", "Remove the repetition."),
  "field-unknown": row("warning", "field-ignored", "Remove the field, or mend its spelling."),
  "field-not-supported": row(
    "warning",
    "field-ignored",
    "Do not rely on this field: this version does not act on it.",
  ),
  "field-invalid": row("error", "object-ignored", "Give the field a value of the type shown."),
  "field-missing": row("error", "object-ignored", "Add the field."),
  "hosts-misspelt": row("warning", "informational", "Write `hosts: []`: that is the field's name."),
  // Mapping
  "mapping-fails-closed": row(
    "error",
    "route-fails-closed",
    "Mend the field named; the route answers 503 until then.",
  ),
  "service-invalid": row("error", "route-fails-closed", "Write the service as [scheme://]host[:port]."),
  "service-path-ignored": row(
    "warning",
    "field-ignored",
    "Remove the path from the service; use `rewrite` to change paths.",
  ),
  "tls-context-missing": row(
    "error",
    "route-fails-closed",
    "Create the TLSContext, or mend the name in `tls:`.",
  ),
  "tls-context-ambiguous": row("error", "route-fails-closed", "Write `tls: name.namespace`."),
  "tls-context-other-namespace": row(
    "warning",
    "informational",
    "Write `tls: name.namespace` to say that it is meant.",
  ),
  "tls-over-http-scheme": row(
    "warning",
    "informational",
    "Write https://, or leave the scheme out: `tls:` decides.",
  ),
  "tls-false-ignored": row("warning", "field-ignored", "Remove `tls: false`; write http:// for cleartext."),
  "upstream-unverified": row(
    "warning",
    "informational",
    "Give the TLSContext a CA: `ca_secret`, `cacert_chain_file`, or `ca.crt` in its Secret.",
  ),
  "upstream-verification-required": row(
    "error",
    "route-fails-closed",
    "Give the TLSContext a CA: `ca_secret`, `cacert_chain_file`, or `ca.crt` in its Secret.",
  ),
  "group-member-mismatch": row(
    "error",
    "object-ignored",
    "Give every Mapping of one prefix and host the same value, or another precedence.",
  ),
  // TLSContext
  "tls-context-invalid": row(
    "error",
    "route-fails-closed",
    "Mend the field named; what uses the context is closed until then.",
  ),
  "tls-version-unknown": row(
    "error",
    "route-fails-closed",
    "Use v1.0, v1.1, v1.2 or v1.3, the minimum not above the maximum.",
  ),
  "tls-cipher-unknown": row("error", "route-fails-closed", "Use cipher names that OpenSSL knows."),
  "tls-group-unknown": row(
    "error",
    "route-fails-closed",
    "Use group names such as X25519MLKEM768, X25519, P-256 or P-384.",
  ),
  "tls-version-obsolete": row(
    "warning",
    "informational",
    "Raise min_tls_version to v1.2: RFC 8996 retires 1.0 and 1.1.",
  ),
  "alpn-h2-not-supported": row(
    "warning",
    "field-ignored",
    "Remove h2, or use it with an engine that speaks HTTP/2.",
  ),
  "client-ca-missing": row(
    "error",
    "host-refused",
    "Give the TLSContext a CA: `cert_required` needs one to check against.",
  ),
  "host-claimed-twice": row("error", "host-refused", "Name each host in one TLSContext only."),
  "redirect-port-conflict": row(
    "error",
    "field-ignored",
    "Give every TLSContext the same redirect_cleartext_from.",
  ),
  // Secrets and files with certificates
  "secret-missing": row("error", "route-fails-closed", "Create the Secret, or mend its name or namespace."),
  "secret-type-unsupported": row(
    "error",
    "object-ignored",
    "Use type kubernetes.io/tls, Opaque or istio.io/key-and-cert.",
  ),
  "secret-key-missing": row(
    "error",
    "route-fails-closed",
    "Give the Secret tls.crt and tls.key, or cert-chain.pem and key.pem.",
  ),
  "secret-data-invalid": row(
    "error",
    "object-ignored",
    "Encode each value of `data` as base64, or use `stringData`.",
  ),
  "certificate-file-unreadable": row(
    "error",
    "route-fails-closed",
    "Make the file readable, or mend its path.",
  ),
  "pem-invalid": row(
    "error",
    "route-fails-closed",
    "Replace it by PEM: `-----BEGIN CERTIFICATE-----` and so on.",
  ),
  "private-key-invalid": row(
    "error",
    "route-fails-closed",
    "Give an RSA, ECDSA or Ed25519 key as PKCS#8, PKCS#1 or SEC1 PEM.",
  ),
  "private-key-encrypted": row(
    "error",
    "route-fails-closed",
    "Decrypt it: `openssl pkey -in key.pem -out plain.pem`.",
  ),
  "private-key-mismatch": row(
    "error",
    "route-fails-closed",
    "Give the key that belongs to the first certificate.",
  ),
  "certificate-expired": row("error", "route-fails-closed", "Renew the certificate."),
  "certificate-not-yet-valid": row(
    "error",
    "route-fails-closed",
    "Wait until it is valid, or check the clocks.",
  ),
  "certificate-purpose": row(
    "error",
    "route-fails-closed",
    "Issue it with the extended key usage that its use needs.",
  ),
  "certificate-chain-broken": row(
    "warning",
    "informational",
    "Give the intermediates in order after the leaf.",
  ),
  "certificate-chain-reordered": row(
    "warning",
    "informational",
    "Write the chain leaf first; it was put in order here.",
  ),
  "certificate-key-weak": row(
    "error",
    "route-fails-closed",
    "Use RSA of 2048 bits or more, P-256 or better, or Ed25519.",
  ),
  "certificate-expires-soon": row("warning", "informational", "Renew the certificate."),
  "trust-empty": row("error", "route-fails-closed", "Give at least one CA certificate as PEM."),
  "trust-not-ca": row("error", "route-fails-closed", "Give certificates with basicConstraints CA:TRUE."),
  "credential-kept-previous": row(
    "error",
    "kept-previous",
    "Mend the new certificate before the previous one expires.",
  ),
  // Module
  "module-invalid": row("error", "field-ignored", "Mend the value; the default is used until then."),
  "module-key-not-supported": row(
    "warning",
    "field-ignored",
    "Do not rely on this key: this version does not act on it.",
  ),
  "access-control-not-enforced": row(
    "error",
    "route-fails-closed",
    "Remove the object, or start with --allow-unenforced to serve without it.",
  ),
  // Engine
  "listener-port-unavailable": row("error", "kept-previous", "Free the port, or choose another one."),
} as const satisfies Record<string, CatalogueRow>;

export type KnownCode = keyof typeof CATALOGUE;

/** A finding with what its code implies; `found` may make effect, severity and remedy more exact. */
export function diagnose(
  code: KnownCode,
  found: {
    subject: Subject;
    message: string;
    source?: SourcePosition | undefined;
    effect?: Effect;
    severity?: Severity;
    remedy?: string;
  },
): Diagnostic {
  const { severity, effect, remedy } = CATALOGUE[code];
  return {
    code,
    severity: found.severity ?? severity,
    effect: found.effect ?? effect,
    subject: found.subject,
    ...(found.source === undefined ? {} : { source: found.source }),
    message: found.message,
    remedy: found.remedy ?? remedy,
  };
}

function row(severity: Severity, effect: Effect, remedy: string): CatalogueRow {
  return { severity, effect, remedy };
}
