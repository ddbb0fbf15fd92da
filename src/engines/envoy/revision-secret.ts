import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pack } from "../../protobuf/any.ts";
import type { TypedExtensionConfigSchema } from "../../protobuf/generated/envoy/config/core/v3/extension_pb.js";
import { CelSchema } from "../../protobuf/generated/envoy/extensions/formatter/cel/v3/cel_pb.js";
import { GenericSecretSchema } from "../../protobuf/generated/envoy/extensions/formatter/generic_secret/v3/generic_secret_pb.js";
import { SecretSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { ADS } from "./config-source.ts";
import { resource, type XdsResource } from "./resources.ts";

/** No name of a credential's secret: those have a colon. */
export const REVISION = "revision";

/**
 * The number of the revision, for lines of the access log that nobody completes. As a secret it is a message of its own: in a
 * listener or a route configuration it would change them with each revision.
 */
export function revisionSecret(number: number): XdsResource<"secret"> {
  const secret = { specifier: { case: "inlineString" as const, value: String(number) } };
  const message = create(SecretSchema, {
    name: REVISION,
    type: { case: "genericSecret", value: { secret } },
  });
  return resource("secret", REVISION, message, []);
}

/** For the filter state's value: the number when the request began, of the newest revision that was named. */
export const REVISION_NOW = `%SECRET(${REVISION})%`;

/** What a format with REVISION_NOW needs. */
export const SECRET_FORMATTER: MessageInitShape<typeof TypedExtensionConfigSchema> = {
  name: "envoy.formatter.generic_secret",
  typedConfig: pack(
    GenericSecretSchema,
    create(GenericSecretSchema, { secretConfigs: { [REVISION]: { name: REVISION, sdsConfig: ADS } } }),
  ),
};

/** In a line: what the filter state has under that name, as a number; null where no filter came by. */
export function numberKept(key: string): string {
  return `%TYPED_CEL(int(string(filter_state['${key}'])))%`;
}

/** What a format with `numberKept` needs. */
export const NUMBER_FORMATTER: MessageInitShape<typeof TypedExtensionConfigSchema> = {
  name: "envoy.formatter.cel",
  typedConfig: pack(CelSchema, create(CelSchema, { celConfig: { enableStringConversion: true } })),
};
