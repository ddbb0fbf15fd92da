import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Cluster } from "../../../model/cluster.ts";
import { pack } from "../../../protobuf/any.ts";
import type { Http1ProtocolOptionsSchema } from "../../../protobuf/generated/envoy/config/core/v3/protocol_pb.js";
import { PreserveCaseFormatterConfigSchema } from "../../../protobuf/generated/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js";
import { HttpProtocolOptionsSchema } from "../../../protobuf/generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { DEFAULT_BOUNDS } from "../bounds.ts";
import { duration } from "../duration.ts";
import type { TranslationContext } from "../translation-context.ts";
import type { ClusterFields } from "./cluster-fields.ts";

/** HTTP/1.1 or HTTP/2, and for how long connections are kept. Never by ALPN: the model says what is spoken. */
export function protocolOptions(cluster: Cluster, context: TranslationContext): ClusterFields {
  const options = create(HttpProtocolOptionsSchema, {
    commonHttpProtocolOptions: {
      // 0 is "not given" here, as in the node engine.
      idleTimeout: duration(cluster.idleTimeoutMs || IDLE_MS),
      ...(cluster.maxLifetimeMs ? { maxConnectionDuration: duration(cluster.maxLifetimeMs) } : {}),
      ...longestStream(cluster, context),
      // Of responses; how long their heads may be is Envoy's own bound.
      maxHeadersCount: (context.bounds ?? DEFAULT_BOUNDS).maxHeaders,
    },
    upstreamProtocolOptions: {
      case: "explicitHttpConfig",
      value: {
        protocolConfig:
          cluster.protocol === "h2"
            ? { case: "http2ProtocolOptions", value: {} }
            : { case: "httpProtocolOptions", value: http1() },
      },
    },
  });
  return { typedExtensionProtocolOptions: { [OPTIONS]: pack(HttpProtocolOptionsSchema, options) } };
}

/**
 * Envoy lets a stream of a cluster's old generation end whenever it ends. Half of the certificate's lifetime bounds it: what
 * began before a rotation in the first half is over when the certificate is.
 */
function longestStream(
  { tls }: Cluster,
  { lifetimes }: TranslationContext,
): { maxStreamDuration?: ReturnType<typeof duration> } {
  if (tls.mode === "cleartext" || tls.credential === undefined) return {};
  const lifetime = lifetimes?.get(tls.credential);
  return lifetime === undefined ? {} : { maxStreamDuration: duration(Math.max(1, Math.floor(lifetime / 2))) };
}

/** Names of headers go on as they were written, trailers too: the node engine passes on the bytes. */
function http1(): MessageInitShape<typeof Http1ProtocolOptionsSchema> {
  return {
    enableTrailers: true,
    headerKeyFormat: {
      headerFormat: {
        case: "statefulFormatter",
        value: {
          name: "preserve_case",
          typedConfig: pack(PreserveCaseFormatterConfigSchema, create(PreserveCaseFormatterConfigSchema, {})),
        },
      },
    },
  };
}

const OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/** The node engine's limit: below what servers usually keep, so that few connections close as they are written to. */
const IDLE_MS = 50_000;
