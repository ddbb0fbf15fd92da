import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Credential, CredentialReader, TrustBundle } from "../../credentials/credential.ts";
import { SecretSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { SPIFFECertValidatorConfigSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.js";
import type { CertificateValidationContextSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { pack } from "../../protobuf/any.ts";
import { resource, type XdsResource } from "./resources.ts";

/** Names of SDS secrets: `credential:NAME` (certificate and key) and `trust:NAME` (trusted CAs). */
export function secretName(kind: "credential" | "trust", name: string): string {
  return `${kind}:${name}`;
}

/**
 * SDS: the secrets of these names that the store has now, sorted. A name that it does not have is left out: the model never
 * names one then, and a client that asks is told that it is removed. Key bytes pass through to the stream and are kept nowhere else.
 */
export function translateSecrets(names: Iterable<string>, store: CredentialReader): XdsResource<"secret">[] {
  return [...new Set(names)].sort().flatMap((name) => {
    const colon = name.indexOf(":");
    const [kind, key] = [name.slice(0, colon), name.slice(colon + 1)];
    const held =
      kind === "trust" ? store.trust(key) : kind === "credential" ? store.credential(key) : undefined;
    if (held === undefined) return [];
    const known = TRANSLATED.get(held);
    if (known !== undefined) return [known];
    const type = "privateKey" in held ? certificate(held) : anchors(held);
    if (type === null) return [];
    // Whoever names a secret is told of a NACK by the listener or cluster that it is for; the credential's name says the rest.
    const made = resource("secret", name, create(SecretSchema, { name, type }), [key]);
    TRANSLATED.set(held, made);
    return [made];
  });
}

/** What the store holds is a new object with each generation: a thousand that stay are not translated and encoded again for one that changes. */
const TRANSLATED = new WeakMap<Credential | TrustBundle, XdsResource<"secret">>();

type SecretType = NonNullable<MessageInitShape<typeof SecretSchema>["type"]>;

function certificate({ certificateChain, privateKey }: Credential): SecretType {
  return {
    case: "tlsCertificate",
    value: { certificateChain: inline(certificateChain), privateKey: inline(privateKey) },
  };
}

/** null: an empty bundle would mean that nothing is verified. */
function anchors({ anchors, domains }: TrustBundle): SecretType | null {
  if (anchors.length === 0) return null;
  if (domains !== undefined) return { case: "validationContext", value: byTrustDomain(domains) };
  return { case: "validationContext", value: { trustedCa: inline(anchors.join("\n")) } };
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
