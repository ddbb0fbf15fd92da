import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type {
  Credential,
  CredentialReader,
  RevocationBundle,
  TrustBundle,
} from "../../credentials/credential.ts";
import type { PeerRules } from "../../model/tls.ts";
import { asksBeyondNames, soleTrustDomain } from "../../model/tls-capabilities.ts";
import { SecretSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { SPIFFECertValidatorConfigSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.js";
import type { CertificateValidationContextSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { pack } from "../../protobuf/any.ts";
import { resource, type XdsResource } from "./resources.ts";

/** What an SDS secret is made of, as the store names it. */
export type SecretParts =
  | { readonly credential: string }
  | { readonly trust: string; readonly domain?: string; readonly crl?: string };

/** `credential:NAME`: a certificate and its key. */
export function credentialSecret(credential: string): string {
  return `credential:${credential}`;
}

/**
 * `trust:NAME`: trusted CAs; with the revocation lists that rules ask for, `trust:NAME+crl:NAME`. `trust:NAME+domain:NAME` are those of one SPIFFE
 * trust domain, where rules ask for what Envoy does for one alone.
 */
export function trustSecret(trust: string, rules: PeerRules = {}): string {
  const { identities, revocation } = rules;
  const domain = asksBeyondNames(rules) ? soleTrustDomain(identities) : null;
  const lists = revocation === undefined ? "" : `${WITH_LISTS}${revocation.crl}`;
  return `trust:${trust}${domain === null ? "" : `${OF_DOMAIN}${domain}`}${lists}`;
}

/** What a name of an SDS secret says; null: it is none of ours. */
export function secretParts(secret: string): SecretParts | null {
  let parts = READ.get(secret);
  if (parts === undefined) {
    parts = readSecret(secret);
    if (READ.size >= MOST_READ) READ.clear();
    READ.set(secret, parts);
  }
  return parts;
}

/** All names of a model are read at each change of it. */
const READ = new Map<string, SecretParts | null>();
const MOST_READ = 20_000;

function readSecret(secret: string): SecretParts | null {
  const colon = secret.indexOf(":");
  const [kind, name] = [secret.slice(0, colon), secret.slice(colon + 1)];
  if (kind === "credential") return { credential: name };
  if (kind !== "trust") return null;
  const [before, crl] = parted(name, WITH_LISTS);
  const [trust, domain] = parted(before, OF_DOMAIN);
  return { trust, ...(domain === undefined ? {} : { domain }), ...(crl === undefined ? {} : { crl }) };
}

function parted(text: string, by: string): [string, string?] {
  const at = text.lastIndexOf(by);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + by.length)];
}

/** No name of a Secret or file has them. */
const WITH_LISTS = "+crl:";
const OF_DOMAIN = "+domain:";

/**
 * SDS: the secrets of these names that the store has now, sorted. A name that it does not have is left out: the model never
 * names one then, and a client that asks is told that it is removed. Key bytes pass through to the stream and are kept nowhere else.
 */
export function translateSecrets(names: Iterable<string>, store: CredentialReader): XdsResource<"secret">[] {
  return [...new Set(names)].sort().flatMap((name) => {
    const parts = secretParts(name);
    if (parts === null) return [];
    if ("credential" in parts) {
      const held = store.credential(parts.credential);
      return held === undefined ? [] : once(held, NO_LISTS, name, parts.credential, () => certificate(held));
    }
    const trust = store.trust(parts.trust);
    const lists = parts.crl === undefined ? undefined : store.crl(parts.crl);
    // Without its lists Envoy would take the revoked for good.
    if (trust === undefined || (parts.crl !== undefined && lists === undefined)) return [];
    return once(trust, lists ?? NO_LISTS, name, parts.trust, () => anchors(trust, lists, parts.domain));
  });
}

type Held = Credential | TrustBundle | RevocationBundle;
const NO_LISTS = {};

/** What the store holds is a new object with each generation: a thousand that stay are not translated and encoded again for one that changes. */
const TRANSLATED = new WeakMap<Held, WeakMap<object, Map<string, XdsResource<"secret">>>>();

function once(
  held: Held,
  lists: object,
  name: string,
  from: string,
  translate: () => SecretType | null,
): XdsResource<"secret">[] {
  const known = TRANSLATED.get(held)?.get(lists)?.get(name);
  if (known !== undefined) return [known];
  const type = translate();
  if (type === null) return [];
  // Whoever names a secret is told of a NACK by the listener or cluster that it is for; the credential's name says the rest.
  const made = resource("secret", name, create(SecretSchema, { name, type }), [from]);
  const byLists = TRANSLATED.get(held) ?? new WeakMap<object, Map<string, XdsResource<"secret">>>();
  TRANSLATED.set(held, byLists);
  byLists.set(lists, (byLists.get(lists) ?? new Map<string, XdsResource<"secret">>()).set(name, made));
  return [made];
}

type SecretType = NonNullable<MessageInitShape<typeof SecretSchema>["type"]>;

function certificate({ certificateChain, privateKey, ocspStaple }: Credential): SecretType {
  return {
    case: "tlsCertificate",
    value: {
      certificateChain: inline(certificateChain),
      privateKey: inline(privateKey),
      ...(ocspStaple === undefined
        ? {}
        : { ocspStaple: { specifier: { case: "inlineBytes" as const, value: ocspStaple.response } } }),
    },
  };
}

/** null: an empty bundle would mean that nothing is verified. */
function anchors(
  { anchors, domains }: TrustBundle,
  lists: RevocationBundle | undefined,
  domain: string | undefined,
): SecretType | null {
  if (anchors.length === 0) return null;
  const own = domains === undefined ? anchors : domains[domain ?? ""];
  // Its SPIFFE validator heeds no lists: the model asks for them with one domain alone, and of one that is not trusted nobody is taken.
  if (domains !== undefined && own === undefined)
    return lists === undefined || domain !== undefined
      ? { case: "validationContext", value: byTrustDomain(domains) }
      : null;
  return {
    case: "validationContext",
    value: {
      trustedCa: inline((own ?? []).join("\n")),
      ...(lists === undefined ? {} : { crl: inline(lists.pem.join("\n")) }),
    },
  };
}

/** Envoy's SPIFFE validator: of a peer's ID the trust domain decides which CAs its chain must end at. */
function byTrustDomain(
  domains: Readonly<Record<string, readonly string[]>>,
): MessageInitShape<typeof CertificateValidationContextSchema> {
  const trustDomains = Object.entries(domains)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, anchors]) => ({ name, trustBundle: inline(anchors.join("\n")) }));
  return {
    customValidatorConfig: {
      name: "envoy.tls.cert_validator.spiffe",
      typedConfig: pack(
        SPIFFECertValidatorConfigSchema,
        create(SPIFFECertValidatorConfigSchema, { trustDomains }),
      ),
    },
  };
}

function inline(text: string): { specifier: { case: "inlineBytes"; value: Uint8Array } } {
  return { specifier: { case: "inlineBytes", value: ENCODER.encode(text) } };
}

const ENCODER = new TextEncoder();
