import type { HandshakeReason } from "../diagnostics/handshake.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import type { Change } from "./report.ts";

/** What a change may be about: the objects that decide a handshake, and what was seen. */
export interface Situation {
  /** The Mapping or whoever names the service: the model's names for them. */
  readonly users: readonly string[];
  /** `tlscontext/NAMESPACE/NAME`; null: there is none. */
  readonly context: string | null;
  /** Names in the credential store. */
  readonly credential: string | null;
  readonly trust: string | null;
  readonly host: string;
  readonly leaf: CertificateFacts | null;
  /** `verify` says who is expected. */
  readonly expectsIdentities: boolean;
  /** The certificate that the peer's chain leads up to, as far as it was sent. */
  readonly top: CertificateFacts | null;
  /** SHA-256 of the leaf's SubjectPublicKeyInfo, base64. */
  readonly pin: string | null;
  /** CAs that the peer takes client certificates of. */
  readonly authorities: readonly string[];
  /** What the peer took when more was offered. */
  readonly takes: string | null;
  readonly place: (object: string, field: string) => string | null;
}

/** What to write in the resources, each change at its place; empty: it is not in them that something is to be changed. */
export function changesFor(reason: HandshakeReason, situation: Situation): Change[] {
  return (CHANGES[reason]?.(situation) ?? []).map(([object, field, says]) => ({
    object,
    field,
    place: situation.place(object, field),
    says,
  }));
}

type Edit = readonly [object: string, field: string, says: string];

const CHANGES: Readonly<Partial<Record<HandshakeReason, (situation: Situation) => Edit[]>>> = {
  issuer_unknown: (it) => trusts(it, `add the CA ${it.top?.issuer ?? "that issued it"}`),
  intermediate_missing: (it) =>
    trusts(it, `or trust the intermediate itself: add ${it.top?.issuer ?? "it"} beside the root`),
  self_signed_leaf: (it) => trusts(it, `add the certificate itself, SHA-256 ${it.leaf?.sha256 ?? ""}`),
  name_mismatch: (it) => {
    const [name] = it.leaf?.dnsNames ?? [];
    if (name === undefined) return [];
    // They stand instead of the name that is dialled, so another `sni` would change nothing.
    if (it.expectsIdentities)
      return inContext(
        it,
        "verify",
        `verify.dns_names: add ${quoted(name)}`,
        ", if that is who should answer",
      );
    return inContext(
      it,
      "sni",
      `sni: ${name.replace(/^\*\./, "NAME.")}`,
      `, or verify: { dns_names: [${quoted(name)}] }`,
    );
  },
  spiffe_id_mismatch: (it) => {
    const [id] = it.leaf?.uris ?? [];
    return id === undefined
      ? []
      : inContext(it, "verify", `verify: { spiffe_ids: [${id}] }`, ", if that is who should answer");
  },
  pin_mismatch: (it) =>
    it.pin === null
      ? []
      : inContext(it, "verify", `verify.spki_sha256: add ${it.pin}`, ", if the new key was meant"),
  chain_too_deep: (it) => inContext(it, "verify", "verify.max_depth: a larger number", ""),
  crl_missing: (it) =>
    inContext(it, "verify", "verify.crl_file or crl_secret: add the list of the CA named above", ""),
  crl_stale: (it) =>
    inContext(it, "verify", "verify.crl_file or crl_secret: a new list", ", or crl_policy: allow-stale"),
  credential_unavailable: (it) => secrets(it),
  key_mismatch: (it) => secrets(it),
  client_certificate_missing: (it) =>
    it.credential === null
      ? inContext(it, "secret", "secret: one with a client certificate", ofAuthorities(it))
      : secretsOf(it, `the certificate must be one that the peer takes${ofAuthorities(it)}`),
  client_certificate_refused: (it) => secretsOf(it, `another certificate${ofAuthorities(it)}`),
  no_common_version: (it) =>
    it.takes === null
      ? []
      : inContext(
          it,
          it.takes < "TLS 1.2" ? "min_tls_version" : "max_tls_version",
          `${it.takes < "TLS 1.2" ? "min_tls_version" : "max_tls_version"}: ${it.takes.replace("TLS ", "v")}`,
          it.takes < "TLS 1.2" ? ", though better the peer is updated" : "",
        ),
  no_common_cipher: (it) => taking(it, "cipher_suites"),
  no_common_group: (it) => taking(it, "ecdh_curves"),
  alpn_mismatch: (it) => inContext(it, "alpn_protocols", "alpn_protocols: a protocol that the peer has", ""),
  sni_unknown: (it) => inContext(it, "sni", "sni: a name that the peer serves", ""),
  plaintext_peer: (it) => services(it, "an http:// service and no `tls`, or the port of the peer's TLS"),
  tls_peer: (it) => services(it, "an https:// service, or `tls` with a TLSContext that has the peer's CA"),
  proxy_header_expected: (it) => services(it, "a port of the peer that wants no PROXY header"),
  dns_failure: (it) => services(it, `a name that has an address; ${it.host} has none`),
  connect_refused: (it) => services(it, "the port that the peer listens on"),
  connect_timeout: (it) => services(it, "an address that answers"),
  connect_failed: (it) => services(it, "an address that can be reached"),
};

function inContext({ context, users }: Situation, field: string, what: string, more: string): Edit[] {
  if (context !== null) return [[context, field, `${what}${more}`]];
  return users.map((user) => [user, "tls", `name a TLSContext that has \`${what}\`${more}`]);
}

function trusts(situation: Situation, says: string): Edit[] {
  const { trust, context } = situation;
  return [
    ...(trust === null ? [] : [[trust, "ca.crt", says] as const]),
    ...(context === null ? [] : [[context, "ca_secret", "or name a Secret that has that CA"] as const]),
  ];
}

function secrets({ credential, trust, context }: Situation): Edit[] {
  const of = (name: string | null): Edit[] =>
    name === null ? [] : [[name, "tls.crt", "install key, certificate and CA of one issue"]];
  const found = credential === trust ? of(credential) : of(credential);
  return found.length > 0 || context === null ? found : [[context, "secret", "name a Secret that is there"]];
}

function secretsOf({ credential, context }: Situation, says: string): Edit[] {
  return [
    ...(credential === null ? [] : [[credential, "tls.crt", says] as const]),
    ...(context === null ? [] : [[context, "secret", "or name a Secret that has it"] as const]),
  ];
}

function ofAuthorities({ authorities }: Situation): string {
  return authorities.length === 0 ? "" : ` of ${authorities.slice(0, 3).join(" or ")}`;
}

function taking(situation: Situation, field: string): Edit[] {
  const { takes } = situation;
  return takes === null ? [] : inContext(situation, field, `${field}: add ${takes}`, "");
}

function services({ users }: Situation, says: string): Edit[] {
  return users.map((user) => [user, "service", says]);
}

function quoted(name: string): string {
  return name.startsWith("*") ? `"${name}"` : name;
}
