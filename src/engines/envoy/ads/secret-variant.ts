import { fromBinary } from "@bufbuild/protobuf";
import type { DataSource } from "../../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import { SecretSchema } from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { resource } from "../resources.ts";
import { type EncodedResource, encode } from "./encoded.ts";

/**
 * The same secret in other bytes, by so many blank lines behind its PEM. Envoy takes one that is as the last one was, refused or not, for no
 * change, and acknowledges it: so nothing would be learned from sending it again.
 */
export function varied(given: EncodedResource, times: number): EncodedResource {
  if (times === 0 || given.kind !== "secret") return given;
  const secret = fromBinary(SecretSchema, given.bytes);
  const { type } = secret;
  if (type.case === "tlsCertificate") lengthen(type.value.certificateChain, times);
  if (type.case === "validationContext") lengthen(type.value.trustedCa, times);
  return encode(resource("secret", given.name, secret, given.from));
}

function lengthen(source: DataSource | undefined, times: number): void {
  if (source?.specifier.case !== "inlineBytes") return;
  source.specifier.value = Buffer.concat([source.specifier.value, Buffer.alloc(times, "\n")]);
}
