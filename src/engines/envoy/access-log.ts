import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { CLIENT_HANDSHAKE_FAILED } from "../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import type { TcpDestination } from "../../model/tcp.ts";
import { pack } from "../../protobuf/any.ts";
import {
  type AccessLogFilterSchema,
  type AccessLogSchema,
  ComparisonFilter_Op as Op,
} from "../../protobuf/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import {
  HttpGrpcAccessLogConfigSchema,
  TcpGrpcAccessLogConfigSchema,
} from "../../protobuf/generated/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import { StdoutAccessLogSchema } from "../../protobuf/generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import type { CustomTagSchema } from "../../protobuf/generated/envoy/type/tracing/v3/custom_tag_pb.js";
import { METADATA } from "./direct-response.ts";
import { logStream } from "./failure-log.ts";
import { expressionFilter, FAILURE_ID, statusFilter } from "./local-replies.ts";
import { REQUEST_PATH, REVISION_KEY } from "./request-path.ts";
import { NUMBER_FORMATTER, numberKept } from "./revision-secret.ts";
import { clusterOf } from "./tcp/destination.ts";
import type { TranslationContext } from "./translation-context.ts";

type AccessLog = MessageInitShape<typeof AccessLogSchema>;
type CustomTag = MessageInitShape<typeof CustomTagSchema>;

/** The logs of a listener's requests. */
export function httpAccessLogs(listener: string, context: TranslationContext): AccessLog[] {
  const { ownCluster, accessLog, namesRevision } = context;
  const line = requestLine(listener);
  return [
    ...(ownCluster === undefined ? [] : [failuresOfRequests(ownCluster)]),
    ...(accessLog !== true
      ? []
      : namesRevision === true
        ? [standardOutput({ ...line, revision: numberKept(REVISION_KEY) }, {}, [NUMBER_FORMATTER])]
        : [standardOutput(line)]),
  ];
}

/** The logs of a chain of a TCP listener. */
export function tcpAccessLogs(
  listener: string,
  destinations: readonly TcpDestination[],
  context: TranslationContext,
): AccessLog[] {
  const { ownCluster, accessLog } = context;
  return [
    ...(ownCluster === undefined ? [] : [failuresOfConnections(ownCluster, destinations)]),
    ...(accessLog === true ? [standardOutput(connectionLine(listener, destinations))] : []),
  ];
}

/** What goes with a failure on the stream: of the metadata of a route that is one, and for TCP the TCPMapping of each cluster. */
export const TAGS = { code: "code", reason: "reason" } as const;
export const DESTINATION_TAG = "to ";

/** Of what is no failure nothing is sent: an upstream's own answer, whatever its status. */
function failuresOfRequests(ownCluster: string): AccessLog {
  const config = create(HttpGrpcAccessLogConfigSchema, {
    commonConfig: logStream(ownCluster, "failures", Object.values(TAGS).map(routeMetadata)),
    additionalResponseHeadersToLog: [FAILURE_ID],
  });
  return {
    name: "envoy.access_loggers.http_grpc",
    filter: {
      filterSpecifier: {
        case: "orFilter",
        value: {
          filters: [
            ANY_FLAG,
            {
              filterSpecifier: {
                case: "andFilter",
                value: {
                  filters: [
                    statusFilter(Op.GE, 400),
                    expressionFilter("response.code_details != 'via_upstream'"),
                  ],
                },
              },
            },
          ],
        },
      },
    },
    configType: { case: "typedConfig", value: pack(HttpGrpcAccessLogConfigSchema, config) },
  };
}

function failuresOfConnections(ownCluster: string, destinations: readonly TcpDestination[]): AccessLog {
  const tags = destinations.map(
    (destination): CustomTag => ({
      tag: DESTINATION_TAG + clusterOf(destination),
      type: { case: "literal", value: { value: destination.name } },
    }),
  );
  const config = create(TcpGrpcAccessLogConfigSchema, {
    commonConfig: logStream(ownCluster, "failures", tags),
  });
  return {
    name: "envoy.access_loggers.tcp_grpc",
    filter: ANY_FLAG,
    configType: { case: "typedConfig", value: pack(TcpGrpcAccessLogConfigSchema, config) },
  };
}

const ANY_FLAG: MessageInitShape<typeof AccessLogFilterSchema> = {
  filterSpecifier: { case: "responseFlagFilter", value: { flags: [] } },
};

function routeMetadata(key: string): CustomTag {
  return {
    tag: key,
    type: {
      case: "metadata",
      value: {
        kind: { kind: { case: "route", value: {} } },
        metadataKey: { key: METADATA, path: [{ segment: { case: "key", value: key } }] },
      },
    },
  };
}

/** Writes this as a line of JSON. */
export function standardOutput(
  line: JsonObject,
  only: { readonly filter?: MessageInitShape<typeof AccessLogFilterSchema> } = {},
  formatters: readonly (typeof NUMBER_FORMATTER)[] = [],
): AccessLog {
  const config = create(StdoutAccessLogSchema, {
    accessLogFormat: {
      case: "logFormat",
      value: { format: { case: "jsonFormat", value: line }, formatters: [...formatters] },
    },
  });
  return {
    name: "envoy.access_loggers.stdout",
    ...only,
    configType: { case: "typedConfig", value: pack(StdoutAccessLogSchema, config) },
  };
}

/**
 * A line of the access log, by the other engine's names (telemetry/access-log.ts) as far as Envoy knows the same thing. It
 * knows no reason of our list: `response_flags` and `response_details` are Envoy's own words, which process/access-lines.ts
 * looks up where the line comes by.
 */
function requestLine(listener: string): JsonObject {
  return {
    ...COMMON,
    listener,
    method: "%REQ(:METHOD)%",
    path: REQUEST_PATH,
    host: "%REQ(:AUTHORITY)%",
    status: "%RESPONSE_CODE%",
    upstream_ms: "%RESPONSE_DURATION%",
    request_id: "%REQ(X-REQUEST-ID)%",
    // Only what a Mapping became has a name.
    route: "%ROUTE_NAME%",
    response_details: "%RESPONSE_CODE_DETAILS%",
    // Where the route itself is the failure.
    failure: `%METADATA(ROUTE:${METADATA}:reason)%`,
    failure_id: `%RESP(${FAILURE_ID})%`,
  };
}

function connectionLine(listener: string, destinations: readonly TcpDestination[]): JsonObject {
  return {
    ...COMMON,
    listener,
    method: "TCP",
    path: "-",
    host: "%REQUESTED_SERVER_NAME%",
    status: 0,
    upstream_ms: null,
    request_id: "%STREAM_ID%",
    // Of several the cluster tells which it was.
    route: destinations.length === 1 ? (destinations[0]?.name ?? null) : "%UPSTREAM_CLUSTER%",
    response_details: "%CONNECTION_TERMINATION_DETAILS%",
    failure_id: null,
  };
}

/** Of a client's handshake that failed; without a reason Envoy's words are all that is known of it here. */
export function handshakeLine(listener: string, reason: HandshakeReason | null): JsonObject {
  return {
    time: COMMON.time as string,
    client: COMMON.client as string,
    listener,
    method: "TLS",
    path: "-",
    host: "%REQUESTED_SERVER_NAME%",
    status: 0,
    tls_version: COMMON.tls_version as string,
    failure: CLIENT_HANDSHAKE_FAILED,
    handshake: reason,
    downstream_failure: "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
  };
}

const COMMON: JsonObject = {
  time: "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
  client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  request_bytes: "%BYTES_RECEIVED%",
  response_bytes: "%BYTES_SENT%",
  duration_ms: "%DURATION%",
  upstream: "%UPSTREAM_HOST%",
  tls_version: "%DOWNSTREAM_TLS_VERSION%",
  tls_cipher: "%DOWNSTREAM_TLS_CIPHER%",
  client_identity: "%DOWNSTREAM_PEER_SUBJECT%",
  upstream_tls_version: "%UPSTREAM_TLS_VERSION%",
  upstream_tls_cipher: "%UPSTREAM_TLS_CIPHER%",
  // Envoy does not tell of its own certificate.
  identity_presented: null,
  identity_verified: "%UPSTREAM_PEER_SUBJECT%",
  response_flags: "%RESPONSE_FLAGS%",
  upstream_failure: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
};
