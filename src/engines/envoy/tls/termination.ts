import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServerTls } from "../../../model/tls.ts";
import {
  type TransportSocket,
  TransportSocketSchema,
} from "../../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import {
  type CommonTlsContext,
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
} from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { pack } from "../../../protobuf/any.ts";
import { credentialSecret, trustSecret } from "../secrets.ts";
import { identityMatchers } from "./identities.ts";
import { alpnProtocols, sdsSecret, tlsParameters } from "./parameters.ts";

export type TerminateTls = Extract<ServerTls, { mode: "terminate" }>;

/** How the handshakes of a filter chain are held. Certificate and trust anchors go by name (SDS). */
export function terminatingSocket({ credential, clients, parameters }: TerminateTls): TransportSocket {
  const checked = clients.mode !== "none";
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.tls",
    configType: {
      case: "typedConfig",
      value: pack(
        DownstreamTlsContextSchema,
        create(DownstreamTlsContextSchema, {
          commonTlsContext: {
            tlsParams: tlsParameters(parameters),
            alpnProtocols: alpnProtocols(parameters),
            tlsCertificateSdsSecretConfigs: [sdsSecret(credentialSecret(credential))],
            ...clientValidation(clients),
          },
          requireClientCertificate: clients.mode === "required",
          ...(checked ? WITHOUT_RESUMPTION : {}),
        }),
      ),
    },
  });
}

/** Not asked for, a certificate is not verified either; asked for and sent, it must chain and keep to the rules. */
function clientValidation(
  clients: TerminateTls["clients"],
): Exclude<MessageInitShape<typeof CommonTlsContextSchema>, CommonTlsContext> {
  if (clients.mode === "none") return {};
  const { trust, rules } = clients;
  const secret = sdsSecret(trustSecret(trust, rules));
  const { identities, spkiSha256, maxDepth } = rules ?? {};
  if ((identities ?? spkiSha256 ?? maxDepth) === undefined)
    return { validationContextType: { case: "validationContextSdsSecretConfig", value: secret } };
  return {
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: identityMatchers(identities),
          verifyCertificateSpki: [...(spkiSha256 ?? [])],
          // Envoy counts the CA at the end as well.
          ...(maxDepth === undefined ? {} : { maxVerifyDepth: maxDepth + 1 }),
        },
        validationContextSdsSecretConfig: secret,
      },
    },
  };
}

/**
 * A resumed session brings the client certificate of its first handshake, and Envoy looks at neither its dates nor a new
 * trust bundle again: where certificates are checked, each connection is.
 */
const WITHOUT_RESUMPTION = {
  sessionTicketKeysType: { case: "disableStatelessSessionResumption", value: true },
  disableStatefulSessionResumption: true,
} as const;
