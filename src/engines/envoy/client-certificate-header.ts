import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ClientCertificateHeader, HttpSettings } from "../../model/http.ts";
import {
  type HttpConnectionManager,
  type HttpConnectionManagerSchema,
  HttpConnectionManager_ForwardClientCertDetails as Forward,
} from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

/** X-Forwarded-Client-Cert: Envoy's own grammar and rules; absent settings remove it. */
export function clientCertificateHeader({
  clientCertificate,
}: HttpSettings): Exclude<MessageInitShape<typeof HttpConnectionManagerSchema>, HttpConnectionManager> {
  if (clientCertificate === undefined) return { forwardClientCertDetails: Forward.SANITIZE };
  const { mode, details } = clientCertificate;
  return {
    forwardClientCertDetails: MODES[mode],
    setCurrentClientCertDetails: {
      subject: details.includes("subject"),
      cert: details.includes("cert"),
      chain: details.includes("chain"),
      dns: details.includes("dns"),
      uri: details.includes("uri"),
    },
  };
}

const MODES: Readonly<Record<ClientCertificateHeader["mode"], Forward>> = {
  "forward-only": Forward.FORWARD_ONLY,
  "append-forward": Forward.APPEND_FORWARD,
  "sanitize-set": Forward.SANITIZE_SET,
  "always-forward-only": Forward.ALWAYS_FORWARD_ONLY,
};
