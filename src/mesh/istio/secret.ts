import { fromBinary } from "@bufbuild/protobuf";
import type { CredentialMaterial } from "../../credentials/credential.ts";
import { typeUrlOf } from "../../protobuf/any.ts";
import type { DataSource } from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import { SecretSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
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
    if (part === "ca" && type.case === "validationContext") {
      const trustAnchors = textOf(type.value.trustedCa);
      return trustAnchors === null ? `the CA of ${name} is not inline` : { trustAnchors };
    }
    return `the secret ${name} is ${type.case ?? "empty"}, where a ${part} is wanted`;
  }
  return `the answer has no secret ${name}`;
}

function textOf(source: DataSource | undefined): string | null {
  const { specifier } = source ?? {};
  if (specifier?.case === "inlineString") return specifier.value;
  return specifier?.case === "inlineBytes" ? Buffer.from(specifier.value).toString("latin1") : null;
}
