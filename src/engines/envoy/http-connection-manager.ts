import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../model/gateway.ts";
import type { HttpSettings } from "../../model/http.ts";
import { pack } from "../../protobuf/any.ts";
import { HeaderValueOption_HeaderAppendAction as Append } from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import type { TypedExtensionConfigSchema } from "../../protobuf/generated/envoy/config/core/v3/extension_pb.js";
import {
  type HttpProtocolOptionsSchema,
  HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores,
} from "../../protobuf/generated/envoy/config/core/v3/protocol_pb.js";
import type { FilterSchema } from "../../protobuf/generated/envoy/config/listener/v3/listener_components_pb.js";
import {
  HttpConnectionManager_CodecType as Codec,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
} from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { HeaderMutationSchema } from "../../protobuf/generated/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.js";
import { UuidRequestIdConfigSchema } from "../../protobuf/generated/envoy/extensions/request_id/uuid/v3/uuid_pb.js";
import { httpAccessLogs } from "./access-log.ts";
import { DEFAULT_BOUNDS, headKib, type ListenerBounds } from "./bounds.ts";
import { clientCertificateHeader } from "./client-certificate-header.ts";
import { ADS } from "./config-source.ts";
import { duration } from "./duration.ts";
import { httpFilters } from "./http-filters.ts";
import { localReplies } from "./local-replies.ts";
import { logServices } from "./outside-services.ts";
import type { RouteScope } from "./route-scopes.ts";
import { tracing } from "./tracing.ts";
import type { TranslationContext } from "./translation-context.ts";

/**
 * HTTP on the connections of a scope. `speaksHttp2`: ALPN offers it; otherwise HTTP/1.1 is all that is understood, as on the
 * other engine.
 */
export function httpConnectionManager(
  model: GatewayModel,
  context: TranslationContext,
  scope: RouteScope,
  { speaksHttp2 }: { readonly speaksHttp2: boolean },
): MessageInitShape<typeof FilterSchema> {
  const { http } = model;
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: scope.name,
    codecType: speaksHttp2 ? Codec.AUTO : Codec.HTTP1,
    routeSpecifier: { case: "rds", value: { configSource: ADS, routeConfigName: scope.name } },
    httpFilters: httpFilters(model, false, context),
    upgradeConfigs: upgradeConfigs(model, context),
    accessLog: [...httpAccessLogs(scope.listener.name, context), ...logServices(model, "http")],
    ...tracing(model),
    localReplyConfig: localReplies(),
    serverName: http.serverName,
    serverHeaderTransformation: ServerHeader.OVERWRITE,
    ...clientAddress(http),
    ...clientCertificateHeader(http),
    ...requestId(http),
    ...path(http),
    ...bounds(http, context.bounds),
    earlyHeaderMutationExtensions: [requestMutations(http)],
    // Header names and framing are Envoy's to check; what its parser lets pass beyond RFC 9112 is listed in docs/engines.md.
    // Methods are for Mappings to tell apart: a method is any token, as for the node engine.
    httpProtocolOptions: { enableTrailers: true, allowCustomMethods: true },
    // A body that an AuthService is shown is asked for here: nobody upstream could before the answer.
    proxy100Continue: model.authorization?.body === undefined,
  });
  return {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig", value: pack(HttpConnectionManagerSchema, manager) },
  };
}

/** Plain values: a message cannot be spread into another. */
type Part = Exclude<MessageInitShape<typeof HttpConnectionManagerSchema>, HttpConnectionManager>;

/**
 * As Envoy reads X-Forwarded-For, but for a client on the machine itself: for that one Envoy would write an address of the
 * machine. So the connection's address is written first (`requestMutations`), and is one hop more to count where any are.
 */
function clientAddress({ useRemoteAddress, xffTrustedHops }: HttpSettings): Part {
  return {
    useRemoteAddress,
    skipXffAppend: true,
    xffNumTrustedHops: useRemoteAddress && xffTrustedHops > 0 ? xffTrustedHops + 1 : xffTrustedHops,
    // Nobody is "internal", as Envoy would tell upstreams: of no ranges it would make the private ones.
    internalAddressConfig: {
      unixSockets: false,
      cidrRanges: [{ addressPrefix: "255.255.255.255", prefixLen: 32 }],
    },
  };
}

function requestId({ preserveRequestId }: HttpSettings): Part {
  return {
    generateRequestId: true,
    preserveExternalRequestId: preserveRequestId,
    requestIdExtension: {
      // A client's own id is not written to.
      typedConfig: pack(
        UuidRequestIdConfigSchema,
        create(UuidRequestIdConfigSchema, { packTraceReason: false }),
      ),
    },
  };
}

function path({ mergeSlashes, rejectEscapedSlashes }: HttpSettings): Part {
  return {
    normalizePath: true,
    mergeSlashes,
    pathWithEscapedSlashesAction: rejectEscapedSlashes
      ? EscapedSlashes.REJECT_REQUEST
      : EscapedSlashes.KEEP_UNCHANGED,
    // `a.example.` is `a.example`: a host that is closed under one form must not be open under the other.
    stripTrailingHostDot: true,
  };
}

/** Times and sizes, by the limits of the other engine where the model says nothing. */
function bounds(
  { idleTimeoutMs, maxHeadBytes, underscores }: HttpSettings,
  given: ListenerBounds = DEFAULT_BOUNDS,
): Part {
  const common: MessageInitShape<typeof HttpProtocolOptionsSchema> = {
    idleTimeout: duration(idleTimeoutMs ?? given.idleTimeoutMs),
    maxHeadersCount: given.maxHeaders,
    headersWithUnderscoresAction:
      underscores === "reject"
        ? Underscores.REJECT_REQUEST
        : underscores === "drop"
          ? Underscores.DROP_HEADER
          : Underscores.ALLOW,
  };
  return {
    commonHttpProtocolOptions: common,
    maxRequestHeadersKb: headKib(maxHeadBytes ?? given.maxHeadBytes),
    requestHeadersTimeout: duration(given.headTimeoutMs),
    streamIdleTimeout: duration(300_000),
    // How long a connection of a changed listener goes on after it was told to close, for clients that do not.
    drainTimeout: duration(1000),
  };
}

/** Before anything else reads the request. */
function requestMutations({
  useRemoteAddress,
  preserveRequestId,
}: HttpSettings): MessageInitShape<typeof TypedExtensionConfigSchema> {
  return {
    name: "envoy.http.early_header_mutation.header_mutation",
    typedConfig: pack(
      HeaderMutationSchema,
      create(HeaderMutationSchema, {
        mutations: [
          // Identity or routing that only the gateway itself may assert: no client's word for it is taken.
          {
            action: {
              case: "removeOnMatch",
              value: { keyMatcher: { matchPattern: { case: "prefix", value: "x-envoy-" } } },
            },
          },
          { action: { case: "remove", value: "l5d-dst-override" } },
          // Envoy would keep it where the connection's address is not the client's.
          ...(preserveRequestId ? [] : [REQUEST_ID]),
          ...(useRemoteAddress ? [FORWARDED_FOR] : []),
        ],
      }),
    ),
  };
}

const REQUEST_ID = { action: { case: "remove", value: "x-request-id" } } as const;

/** At this moment the operator gives the connection's address, or what a PROXY header tells. */
const FORWARDED_FOR = {
  action: {
    case: "append",
    value: {
      header: { key: "x-forwarded-for", value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" },
      appendAction: Append.APPEND_IF_EXISTS_OR_ADD,
    },
  },
} as const;

/**
 * Whether a protocol is switched to is each route's to say. Where bodies are held back until they are whole, the bytes of
 * a tunnel must not be: they have filters of their own.
 */
function upgradeConfigs(
  model: GatewayModel,
  context: TranslationContext,
): NonNullable<Part["upgradeConfigs"]> {
  if (model.http.maxBodyBytes === undefined) return [];
  const protocols = new Set(model.routes.flatMap(({ upgrades }) => upgrades ?? []));
  const filters = httpFilters(model, true, context);
  return [...protocols].sort().map((upgradeType) => ({ upgradeType, enabled: false, filters }));
}
