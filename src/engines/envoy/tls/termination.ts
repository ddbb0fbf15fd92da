import { create } from "@bufbuild/protobuf";
import type { ServerTls } from "../../../model/tls.ts";
import {
  type TransportSocket,
  TransportSocketSchema,
} from "../../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import { DownstreamTlsContextSchema } from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { pack } from "../../../protobuf/any.ts";
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
            tlsCertificateSdsSecretConfigs: [sdsSecret("credential", credential)],
            ...(checked
              ? {
                  // Not asked for, a certificate is not verified either; asked for and sent, it must chain.
                  validationContextType: {
                    case: "validationContextSdsSecretConfig" as const,
                    value: sdsSecret("trust", clients.trust),
                  },
                }
              : {}),
          },
          requireClientCertificate: clients.mode === "required",
          ...(checked ? WITHOUT_RESUMPTION : {}),
        }),
      ),
    },
  });
}

/**
 * A resumed session brings the client certificate of its first handshake, and Envoy looks at neither its dates nor a new
 * trust bundle again: where certificates are checked, each connection is.
 */
const WITHOUT_RESUMPTION = {
  sessionTicketKeysType: { case: "disableStatelessSessionResumption", value: true },
  disableStatefulSessionResumption: true,
} as const;
