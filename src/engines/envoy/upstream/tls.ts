import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Cluster } from "../../../model/cluster.ts";
import type { TlsParameters, UpstreamTls } from "../../../model/tls.ts";
import { pack } from "../../../protobuf/any.ts";
import {
  type CommonTlsContext,
  type CommonTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { sdsSecret, tlsParameters } from "../tls/parameters.ts";
import { credentialSecret, trustSecret } from "../secrets.ts";
import type { TranslationContext } from "../translation-context.ts";
import type { ClusterFields } from "./cluster-fields.ts";
import { identityMatchers } from "../tls/identities.ts";
import { sanMatcher, workloadMatcher } from "../tls/peer-name.ts";

type Originated = Extract<UpstreamTls, { mode: "originate" }>;

/**
 * TLS to a cluster. The certificate and the anchors go by name (SDS): without the secret Envoy opens no connection, so a
 * cluster never goes without what it names.
 */
export function transportSocket(cluster: Cluster, { trustDomains }: TranslationContext): ClusterFields {
  const { tls, protocol } = cluster;
  if (tls.mode === "cleartext") return {};
  const message = create(UpstreamTlsContextSchema, {
    commonTlsContext: {
      tlsParams: tlsParameters(tls.parameters),
      alpnProtocols: alpnProtocols(tls.parameters, protocol),
      tlsCertificateSdsSecretConfigs:
        tls.credential === undefined ? [] : [sdsSecret(credentialSecret(tls.credential))],
      ...validation(
        tls.verification,
        tls.credential === undefined ? undefined : trustDomains?.get(tls.credential),
      ),
    },
    ...(tls.sni === undefined ? {} : { sni: tls.sni }),
  });
  return {
    transportSocket: {
      name: "envoy.transport_sockets.tls",
      configType: { case: "typedConfig", value: pack(UpstreamTlsContextSchema, message) },
    },
  };
}

/** What is offered is what is spoken on the connection, whatever else the model names. */
function alpnProtocols({ alpn, carries }: TlsParameters, protocol: Cluster["protocol"]): string[] {
  if (carries === "bytes") return [...alpn];
  if (protocol === "h2") return ["h2"];
  const http1 = alpn.filter((name) => name !== "h2");
  return http1.length === 0 ? ["http/1.1"] : http1;
}

function validation(
  verification: Originated["verification"],
  trustDomain: string | undefined,
): Exclude<MessageInitShape<typeof CommonTlsContextSchema>, CommonTlsContext> {
  if (verification.mode === "none") return {};
  const { name, trust, rules } = verification;
  // Identities stand instead of the name.
  const matchers =
    rules?.identities === undefined
      ? [sanMatcher(name), ...(trustDomain === undefined ? [] : [workloadMatcher(trustDomain)])]
      : identityMatchers(rules.identities);
  return {
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: matchers,
          verifyCertificateSpki: [...(rules?.spkiSha256 ?? [])],
        },
        validationContextSdsSecretConfig: sdsSecret(trustSecret(trust, rules)),
      },
    },
  };
}
