import { fromBinary } from "@bufbuild/protobuf";
import type { CredentialMaterial } from "../../credentials/credential.ts";
import { typeUrlOf } from "../../protobuf/any.ts";
import type { DataSource } from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import type { TypedExtensionConfig } from "../../protobuf/generated/envoy/config/core/v3/extension_pb.js";
import type { CertificateValidationContext } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SecretSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type SPIFFECertValidatorConfig_TrustDomain as TrustDomain,
  SPIFFECertValidatorConfigSchema,
} from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.js";
import type { DiscoveryResponse } from "../../protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";

export const SECRET_TYPE = typeUrlOf(SecretSchema);

/** Which half of a credential a resource is: a certificate with its key, or the CA. */
export type SecretPart = "certificate" | "ca";

/** What an answer holds of the resource that was asked for, or why it is of no use, one clause without key material. */
export function readSecret(
  { typeUrl, resources }: DiscoveryResponse,
  name: string,
  part: SecretPart,
): CredentialMaterial | string {
  if (typeUrl !== SECRET_TYPE) return `the answer is of type ${typeUrl.slice(0, 100)}, not a secret`;
  for (const { typeUrl: inner, value } of resources) {
    if (inner !== SECRET_TYPE) continue;
    let secret: ReturnType<typeof fromBinary<typeof SecretSchema>>;
    try {
      secret = fromBinary(SecretSchema, value);
    } catch {
      return `the secret ${name} is no message that can be read`;
    }
    if (secret.name !== name) continue;
    const { type } = secret;
    if (part === "certificate" && type.case === "tlsCertificate") {
      const certificateChain = textOf(type.value.certificateChain);
      const privateKey = textOf(type.value.privateKey);
      return certificateChain === null || privateKey === null
        ? `the certificate or key of ${name} is not inline`
        : { certificateChain, privateKey };
    }
    if (part === "ca" && type.case === "validationContext") return readValidation(name, type.value);
    return `the secret ${name} is ${type.case ?? "empty"}, where a ${part} is wanted`;
  }
  return `the answer has no secret ${name}`;
}

/** The CAs, and the revocation lists that come with them. What narrows whom they vouch for would be dropped, so it is refused. */
function readValidation(name: string, context: CertificateValidationContext): CredentialMaterial | string {
  const narrowing = NARROWING.find((field) => {
    const value = context[field];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  });
  if (narrowing !== undefined)
    return `the CA of ${name} comes with ${narrowing}, which is not heeded: who is to be trusted stands in verify`;
  const crl = context.crl === undefined ? undefined : textOf(context.crl);
  if (crl === null) return `the revocation lists of ${name} are not inline`;
  const lists = crl === undefined ? {} : { crl };
  const validator = context.customValidatorConfig;
  if (validator !== undefined) {
    const read = readTrustDomains(name, validator);
    return typeof read === "string" ? read : { ...read, ...lists };
  }
  const trustAnchors = textOf(context.trustedCa);
  return trustAnchors === null ? `the CA of ${name} is not inline` : { trustAnchors, ...lists };
}

/** The CAs of several trust domains, as Envoy's SPIFFE validator has them: what SPIRE calls `ALL`. */
function readTrustDomains(
  name: string,
  { name: validator, typedConfig }: TypedExtensionConfig,
): CredentialMaterial | string {
  if (typedConfig?.typeUrl !== typeUrlOf(SPIFFECertValidatorConfigSchema))
    return `the CA of ${name} is for a validator that is not known here (${validator.slice(0, 100)})`;
  const trustDomains: Record<string, string> = {};
  let all: TrustDomain[];
  try {
    all = fromBinary(SPIFFECertValidatorConfigSchema, typedConfig.value).trustDomains;
  } catch {
    return `the trust domains of ${name} are no message that can be read`;
  }
  for (const { name: domain, trustBundle } of all) {
    const bundle = textOf(trustBundle);
    if (bundle === null) return `the CA of the trust domain ${domain.slice(0, 255)} in ${name} is not inline`;
    trustDomains[domain] = bundle;
  }
  return all.length === 0
    ? `the secret ${name} has the CA of no trust domain`
    : { trustAnchors: Object.values(trustDomains).join("\n"), trustDomains };
}

/** What of a CertificateValidationContext says more than its CA and lists do. Laxer rules are not taken either, which is no danger. */
const NARROWING = [
  "matchTypedSubjectAltNames",
  "matchSubjectAltNames",
  "verifyCertificateSpki",
  "verifyCertificateHash",
  "requireSignedCertificateTimestamp",
  "maxVerifyDepth",
] as const;

function textOf(source: DataSource | undefined): string | null {
  const { specifier } = source ?? {};
  if (specifier?.case === "inlineString") return specifier.value;
  return specifier?.case === "inlineBytes" ? Buffer.from(specifier.value).toString("latin1") : null;
}
