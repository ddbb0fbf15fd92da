import { isIP } from "node:net";
import type { HandshakeReason } from "../diagnostics/handshake.ts";
import type { PeerRules, TlsParameters } from "../model/tls.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import { hostName } from "../x509/names.ts";
import { spiffeIdOf, trustDomainOf } from "../x509/spiffe.ts";
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
  /** Somebody else than DNS knows where it is. */
  readonly isDiscovered: boolean;
  /** The peer is a client of a listener. */
  readonly isClient: boolean;
  readonly leaf: CertificateFacts | null;
  /** What was shown to the peer. */
  readonly own: CertificateFacts | null;
  /** What `verify` asks for; null: nothing is written there. */
  readonly rules: PeerRules | null;
  /** What the context offers; null: there is no TLS. */
  readonly parameters: TlsParameters | null;
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
  name_mismatch: (it) => namedAs(it),
  spiffe_id_mismatch: (it) => {
    const id = spiffeIdOf(it.leaf?.uris ?? []);
    if (id === undefined) return it.rules?.identities === undefined ? [] : namedAs(it);
    const { spiffeIds, trustDomains } = it.rules?.identities ?? {};
    const domain = trustDomainOf(id) ?? "";
    // It is who is expected, and not believed for another reason.
    if (it.leaf?.isCa === true || spiffeIds?.includes(id) === true || trustDomains?.includes(domain) === true)
      return [];
    if (spiffeIds !== undefined) return inContext(it, "verify", `verify.spiffe_ids: add ${id}`, ifMeant(it));
    if (trustDomains !== undefined)
      return inContext(it, "verify", `verify.trust_domains: add ${domain}`, ifMeant(it));
    return inContext(it, "verify", rule(it, "spiffe_ids", id), ifMeant(it));
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
  client_certificate_refused: (it) =>
    secretsOf(
      it,
      `another certificate${ofAuthorities(it)}${isForClients(it.own) ? "" : ", meant for clients"}`,
    ),
  no_common_version: (it) => {
    const version = it.takes?.replace("TLS ", "v") ?? "";
    if (!/^v1\.[0-3]$/.test(version) || it.parameters === null) return [];
    const field = version < it.parameters.minVersion ? "min_tls_version" : "max_tls_version";
    const better = version < "v1.2" ? ", though better the peer is updated" : "";
    return inContext(it, field, `${field}: ${version}`, better);
  },
  no_common_cipher: (it) => taking(it, "cipher_suites"),
  no_common_group: (it) => taking(it, "ecdh_curves"),
  alpn_mismatch: (it) => inContext(it, "alpn_protocols", "alpn_protocols: a protocol that the peer has", ""),
  sni_unknown: (it) => inContext(it, "sni", "sni: a name that the peer serves", ""),
  plaintext_peer: (it) => services(it, "an http:// service and no `tls`, or the port of the peer's TLS"),
  tls_peer: (it) => services(it, "an https:// service, or `tls` with a TLSContext that has the peer's CA"),
  proxy_header_expected: (it) => services(it, "a port of the peer that wants no PROXY header"),
  dns_failure: (it) =>
    services(
      it,
      it.isDiscovered
        ? `the name of a service that its resolver has healthy instances of; of ${it.host} it has none`
        : `a name that has an address; ${it.host} has none`,
    ),
  connect_refused: (it) => services(it, "the port that the peer listens on"),
  connect_timeout: (it) => services(it, "an address that answers"),
  connect_failed: (it) => services(it, "an address that can be reached"),
};

function inContext({ context, users }: Situation, field: string, what: string, more: string): Edit[] {
  if (context !== null) return [[context, field, `${what}${more}`]];
  return users.map((user) => [user, "tls", `name a TLSContext that has \`${what}\`${more}`]);
}

/** A rule by itself, or beside those that are there. */
function rule({ rules }: Situation, field: string, value: string): string {
  return Object.keys(rules ?? {}).length === 0
    ? `verify: { ${field}: [${value}] }`
    : `verify.${field}: [${value}]`;
}

function ifMeant({ isClient }: Situation): string {
  return isClient ? ", if that client may come" : ", if that is who should answer";
}

/** By a name of the peer's that can be asked for: common names and malformed ones cannot. */
function namedAs(it: Situation): Edit[] {
  const { dnsNames = [], ipAddresses = [], uris = [] } = it.leaf ?? {};
  const name = dnsNames.find((each) => isIP(each) === 0 && hostName(each.replace(/^\*\./, "")) !== null);
  const verified = name ?? ipAddresses.find((address) => isIP(address) === 4);
  // They stand instead of the name that is dialled, so another `sni` would change nothing.
  const id = spiffeIdOf(uris);
  const { identities } = it.rules ?? {};
  if (identities !== undefined) {
    const [field, value, known] =
      verified === undefined
        ? (["spiffe_ids", id, identities.spiffeIds] as const)
        : (["dns_names", quoted(verified), identities.dnsNames] as const);
    if (value === undefined) return [];
    const text = known === undefined ? `[${value}]` : `add ${value}`;
    return inContext(it, "verify", `verify.${field}: ${text}`, ifMeant(it));
  }
  if (name !== undefined) {
    const also = `, or ${rule(it, "dns_names", quoted(name))}`;
    return inContext(it, "sni", `sni: ${name.replace(/^\*\./, "NAME.")}`, also);
  }
  if (verified !== undefined) return inContext(it, "verify", rule(it, "dns_names", verified), ifMeant(it));
  return id === undefined ? [] : inContext(it, "verify", rule(it, "spiffe_ids", id), ifMeant(it));
}

function trusts(it: Situation, says: string): Edit[] {
  const { trust, context, leaf } = it;
  if (trust === null) return [];
  if (isSecret(trust) || context === null)
    return [
      [trust, "ca.crt", says],
      ...(context === null ? [] : [[context, "ca_secret", "or name a Secret that has that CA"] as const]),
    ];
  if (trust.startsWith("files/"))
    return [[context, "cacert_chain_file", `cacert_chain_file: in that file, ${says}`]];
  if (!trust.includes("/")) return [[trust, "", says]];
  // Another CA beside what an issuer delivers would close the context.
  const domain = trustDomainOf(spiffeIdOf(leaf?.uris ?? []) ?? "");
  return trust.startsWith("spiffe/") && domain !== null
    ? [[context, "identity", `identity.spiffe.federated: add ${domain}, if that domain is to be trusted`]]
    : [[context, "identity", `identity: ${says} where it issues, as peers are trusted by what it delivers`]];
}

function secrets({ credential, trust, context }: Situation): Edit[] {
  const name = credential ?? trust;
  if (name === null) return [];
  if (credential !== null && isSecret(credential))
    return [[credential, "tls.crt", "install key, certificate and CA of one issue"]];
  // A flag of the command itself.
  if (!name.includes("/")) return [[name, "", "give key and certificate of one issue"]];
  if (context === null) return [];
  if (name.startsWith("files/"))
    return [[context, "cert_chain_file", "install key, certificate and CA of one issue in its files"]];
  return isSecret(name) ? [[context, "secret", "name a Secret that is there"]] : [];
}

function secretsOf({ credential, context }: Situation, says: string): Edit[] {
  if (credential === null) return [];
  if (isSecret(credential) || context === null)
    return [
      [credential, "tls.crt", says],
      ...(context === null ? [] : [[context, "secret", "or name a Secret that has it"] as const]),
    ];
  if (credential.startsWith("files/"))
    return [[context, "cert_chain_file", `cert_chain_file: in that file, ${says}`]];
  return credential.includes("/")
    ? [[context, "identity", `identity: ${says}, which its issuer would have to deliver`]]
    : [[credential, "", says]];
}

function isSecret(name: string): boolean {
  return name.startsWith("secret/");
}

/** RFC 5280 §4.2.1.12. */
export function isForClients(own: CertificateFacts | null): boolean {
  const usages = own?.extendedKeyUsage ?? null;
  return usages === null || usages.includes("1.3.6.1.5.5.7.3.2");
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
