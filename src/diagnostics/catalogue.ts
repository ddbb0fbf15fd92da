import { CREDENTIAL_CODES } from "./credential-codes.ts";
import type { Diagnostic, Effect, Severity, SourcePosition, Subject } from "./diagnostic.ts";

/** The last one says what to do, in one imperative sentence. A finding may give a more exact one. */
type CatalogueRow = readonly [severity: Severity, effect: Effect, remedy: string];

/** Every code there is, by area. docs/errors.md explains each; a test ties the two both ways. */
export const CATALOGUE = {
  // Files and documents
  "file-unreadable": ["error", "kept-previous", "Make the file readable, or take it out of the paths given."],
  "yaml-syntax": ["error", "kept-previous", "Mend the YAML at the place shown."],
  "yaml-ambiguous": [
    "error",
    "kept-previous",
    "Write each key once, no merge keys, and no anchors that expand without bound.",
  ],
  "document-too-large": ["error", "kept-previous", "Split the document: it may have at most 2 MiB."],
  "fleet-invalid": ["error", "kept-previous", "Mend the rules of the fleet at the place shown."],
  // Envelope
  "kind-missing": ["error", "object-ignored", "Give the document apiVersion, kind and metadata.name."],
  "kind-unknown": ["warning", "object-ignored", "Remove the object, or mend the spelling of its kind."],
  "kind-not-supported": [
    "warning",
    "object-ignored",
    "Do not rely on this object: this version does not act on it.",
  ],
  "api-version-unknown": ["error", "object-ignored", "Use getambassador.io/v2."],
  "object-duplicate": [
    "error",
    "object-ignored",
    "Keep one of the objects, or rename one: their order must not decide.",
  ],
  "object-repeated": ["warning", "informational", "Remove the repetition."],
  "field-unknown": ["warning", "field-ignored", "Remove the field, or mend its spelling."],
  "field-not-supported": [
    "warning",
    "field-ignored",
    "Do not rely on this field: this version does not act on it.",
  ],
  "field-invalid": ["error", "object-ignored", "Give the field a value of the type shown."],
  "field-missing": ["error", "object-ignored", "Add the field."],
  "variable-not-expanded": [
    "warning",
    "informational",
    "Write the value itself, or fill it in before the files get here (envsubst).",
  ],
  "tls-annotation-overrides": ["warning", "informational", "Write the field in one of the two places."],
  "hosts-misspelt": ["warning", "informational", "Write `hosts: []`: that is the field's name."],
  // Mapping
  "mapping-fails-closed": [
    "error",
    "route-fails-closed",
    "Mend the field named; the route answers 503 until then.",
  ],
  "service-invalid": ["error", "route-fails-closed", "Write the service as [scheme://]host[:port]."],
  "service-port-ignored": ["info", "field-ignored", "Remove the port from the service."],
  "service-path-ignored": [
    "warning",
    "field-ignored",
    "Remove the path from the service; use `rewrite` to change paths.",
  ],
  "tls-context-missing": [
    "error",
    "route-fails-closed",
    "Create the TLSContext, or mend the name in `tls:`.",
  ],
  "tls-context-ambiguous": ["error", "route-fails-closed", "Write `tls: name.namespace`."],
  "tls-context-other-namespace": [
    "warning",
    "informational",
    "Write `tls: name.namespace` to say that it is meant.",
  ],
  "tls-over-http-scheme": [
    "warning",
    "informational",
    "Write https://, or leave the scheme out: `tls:` decides.",
  ],
  "tls-false-ignored": ["warning", "field-ignored", "Remove `tls: false`; write http:// for cleartext."],
  "upstream-unverified": [
    "warning",
    "informational",
    "Give the TLSContext a CA: `ca_secret`, `cacert_chain_file`, or `ca.crt` in its Secret.",
  ],
  "upstream-verification-required": [
    "error",
    "route-fails-closed",
    "Give the TLSContext a CA: `ca_secret`, `cacert_chain_file`, or `ca.crt` in its Secret.",
  ],
  "group-member-mismatch": [
    "error",
    "object-ignored",
    "Give every Mapping of one prefix and host the same value, or another precedence.",
  ],
  "regex-invalid": [
    "error",
    "route-fails-closed",
    "Mend the regular expression (RE2 syntax), or raise Module regex_max_size.",
  ],
  "host-never-matches": [
    "warning",
    "informational",
    "Write a regular expression with `host_regex: true`, such as `.*\\.example\\.com`, or the name alone; or leave `host` out.",
  ],
  "prefix-never-matches": [
    "warning",
    "informational",
    "Write the path as requests have it when they are matched: normalised, percent-encoded, without a query (`query_parameters` match that).",
  ],
  "header-not-changed": ["warning", "field-ignored", "Remove the header from the list."],
  "resolver-unknown": ["error", "route-fails-closed", "Create the resolver, or mend its name."],
  "endpoints-unavailable": [
    "warning",
    "route-fails-closed",
    "See that the resolver's address, token and certificates are right, and that it runs.",
  ],
  "endpoints-not-asked": ["info", "informational", "Look at /ambassador/v0/diag/ of a gateway that runs."],
  "endpoints-none": [
    "warning",
    "route-fails-closed",
    "See that the service is registered under this name and passes its checks.",
  ],
  "endpoints-left-out": [
    "warning",
    "informational",
    "Register these instances with a port and an address, or a name that DNS knows here (Service.Address, else Node.Address).",
  ],
  // TCPMapping
  "tcp-mapping-fails-closed": [
    "error",
    "connections-refused",
    "Mend the field named; connections are closed until then.",
  ],
  "tcp-tls-without-termination": [
    "error",
    "connections-refused",
    "Name the host in a TLSContext, so that its TLS is terminated; or remove `tls`.",
  ],
  "tcp-port-unavailable": ["error", "object-ignored", "Free the port, or choose another one."],
  "service-scheme-ignored": [
    "warning",
    "field-ignored",
    "Write host:port; `tls:` says whether TLS is spoken.",
  ],
  // TLSContext
  "tls-context-invalid": [
    "error",
    "route-fails-closed",
    "Mend the field named; what uses the context is closed until then.",
  ],
  "tls-version-unknown": [
    "error",
    "route-fails-closed",
    "Use v1.0, v1.1, v1.2 or v1.3, the minimum not above the maximum.",
  ],
  "tls-cipher-unknown": ["error", "route-fails-closed", "Use cipher names that OpenSSL knows."],
  "tls-group-unknown": [
    "error",
    "route-fails-closed",
    "Use group names such as X25519MLKEM768, X25519, P-256 or P-384.",
  ],
  "tls-version-obsolete": [
    "warning",
    "informational",
    "Raise min_tls_version to v1.2: RFC 8996 retires 1.0 and 1.1.",
  ],
  "alpn-h2-not-supported": [
    "warning",
    "field-ignored",
    "Remove h2, or use it with an engine that speaks HTTP/2.",
  ],
  "client-ca-missing": [
    "error",
    "host-refused",
    "Give the TLSContext a CA: `cert_required` needs one to check against.",
  ],
  "tls-field-without-clients": [
    "warning",
    "field-ignored",
    "Write `hosts`, or name the TLSContext in a Host's `tlsContext`, if it is to serve clients; else remove the field.",
  ],
  "host-claimed-twice": [
    "error",
    "host-refused",
    "Name each host once, or say the same of it each time: certificate, client check, cleartext.",
  ],
  "redirect-port-conflict": [
    "error",
    "field-ignored",
    "Give every TLSContext the same redirect_cleartext_from.",
  ],
  // Host, Ingress, annotations
  "host-context-mismatch": [
    "error",
    "host-refused",
    "Name the same Secret in both, or leave tlsSecret out; give the TLSContext the Host's name in `hosts`, or none.",
  ],
  "host-selector-ignored": ["info", "informational", "Remove it, or do not rely on it."],
  "ingress-backend-unusable": [
    "error",
    "route-fails-closed",
    "Name a Service and the number of its port: `service: { name, port: { number } }`.",
  ],
  "ingress-class-missing": [
    "info",
    "object-ignored",
    "Write `ingressClassName: ambassador` if it is meant for this gateway.",
  ],
  "annotation-invalid": [
    "error",
    "object-ignored",
    "Mend the YAML in the annotation: objects of getambassador.io, separated by `---`.",
  ],
  // Secrets and files with certificates
  ...CREDENTIAL_CODES,
  // Module
  "module-invalid": ["error", "field-ignored", "Mend the value; the default is used until then."],
  "tls-block-unused": [
    "warning",
    "field-ignored",
    "Remove the block, or merge it into the one that is used.",
  ],
  "module-key-not-supported": [
    "warning",
    "field-ignored",
    "Do not rely on this key: this version does not act on it.",
  ],
  "access-control-not-enforced": [
    "error",
    "route-fails-closed",
    "Remove the object, or start with --allow-unenforced to serve without it.",
  ],
  // Engine
  "tls-engine-cannot": [
    "error",
    "route-fails-closed",
    "Name what this engine has, too, or leave the field out: its defaults are as strict.",
  ],
  "engine-cannot": ["error", "route-fails-closed", "Leave this Mapping to an engine that can, or change it."],
  "engine-refused": [
    "error",
    "kept-previous",
    "Change what the message names; that it came this far is a fault of Credence's, which is worth a report.",
  ],
  "envoy-silent": [
    "error",
    "kept-previous",
    "Look at its log and what the machine is short of; it is killed and started again after `--envoy-patience`.",
  ],
  "listener-port-unavailable": [
    "error",
    "kept-previous",
    "Free the port, or choose another by --http-port, --https-port or Module `service_port`. EACCES: the process may not open ports below 1024; EADDRNOTAVAIL: no interface has the address.",
  ],
} as const;

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
  const [severity, effect, remedy]: CatalogueRow = CATALOGUE[code];
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
