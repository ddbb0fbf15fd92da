import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { AuthDestination, Authorization } from "../../model/auth.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import { pack } from "../../protobuf/any.ts";
import type { HeaderMutationSchema } from "../../protobuf/generated/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js";
import { HeaderValueOption_HeaderAppendAction as AppendAction } from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import { ApiVersion } from "../../protobuf/generated/envoy/config/core/v3/config_source_pb.js";
import { FilterConfigSchema } from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import {
  type ExtAuthz,
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
  type HttpService,
  type HttpServiceSchema,
} from "../../protobuf/generated/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { HeaderMutationSchema as MutationFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { ListStringMatcherSchema } from "../../protobuf/generated/envoy/type/matcher/v3/string_pb.js";
import { drawFilter, drawn } from "./authorization-draw.ts";
import { duration } from "./duration.ts";
import { grpcService } from "./grpc-service.ts";

type Filter = MessageInitShape<typeof HttpFilterSchema>;
type Mutation = MessageInitShape<typeof HeaderMutationSchema>;
type Fields<Message, Init> = Exclude<Init, Message>;

/** The filters that ask the model's AuthServices, in order; none: nobody is asked. */
export function authorizationFilters({ authorization, clusters }: GatewayModel): Filter[] {
  if (authorization === undefined) return [];
  const { services } = authorization;
  return [
    ...(services.length > 1 ? [drawFilter()] : []),
    ...services.map((service, index) => ({
      name: filterName(index),
      configType: { case: "typedConfig" as const, value: question(authorization, service, clusters) },
    })),
    ...afterwards(authorization),
  ];
}

/** `typed_per_filter_config` entries of a route that goes past the authorization (`bypass_auth`, redirects, closed routes). */
export function withoutAuthorization(model: GatewayModel): Readonly<Record<string, Any>> {
  return Object.fromEntries(authorizationFilters(model).map(({ name = "" }) => [name, DISABLED]));
}

/** `typed_per_filter_config` entries of a route that tells the service something beside the request. */
export function authorizationContext(
  { authorization }: GatewayModel,
  contextExtensions: Readonly<Record<string, string>>,
): Readonly<Record<string, Any>> {
  const told = pack(
    ExtAuthzPerRouteSchema,
    create(ExtAuthzPerRouteSchema, {
      override: { case: "checkSettings", value: { contextExtensions: { ...contextExtensions } } },
    }),
  );
  return Object.fromEntries((authorization?.services ?? []).map((_, index) => [filterName(index), told]));
}

const DISABLED = pack(FilterConfigSchema, create(FilterConfigSchema, { disabled: true }));

const AFTERWARDS = "credence.authorization.afterwards";

function filterName(index: number): string {
  return index === 0 ? "envoy.filters.http.ext_authz" : `envoy.filters.http.ext_authz.${index}`;
}

function question(authorization: Authorization, service: AuthDestination, clusters: readonly Cluster[]): Any {
  const { services, body, allowOnError, statusOnError } = authorization;
  const cluster = clusters.find(({ name }) => name === service.cluster);
  const message = create(ExtAuthzSchema, {
    transportApiVersion: ApiVersion.V3,
    ...(authorization.protocol === "grpc" && cluster !== undefined
      ? overGrpc(authorization.timeoutMs, cluster, service)
      : overHttp(authorization, service)),
    ...(body === undefined
      ? {}
      : { withRequestBody: { maxRequestBytes: body.maxBytes, allowPartialMessage: body.allowPartial } }),
    failureModeAllow: allowOnError === true,
    statusOnError: { code: statusOnError },
    ...(services.length > 1 ? { filterEnabledMetadata: drawn(services, service) } : {}),
  });
  return pack(ExtAuthzSchema, message);
}

type ExtAuthzFields = Fields<ExtAuthz, MessageInitShape<typeof ExtAuthzSchema>>;

function overGrpc(timeoutMs: number, cluster: Cluster, { linkerd }: AuthDestination): ExtAuthzFields {
  return {
    services: {
      case: "grpcService",
      value: {
        ...grpcService(cluster, timeoutMs),
        ...(linkerd === undefined ? {} : { initialMetadata: [{ key: "l5d-dst-override", value: linkerd }] }),
      },
    },
  };
}

function overHttp(authorization: Authorization, service: AuthDestination): ExtAuthzFields {
  const added = (authorization.added ?? []).map(({ name }) => name);
  return {
    services: { case: "httpService", value: httpService(authorization, service) },
    // What is added replaces the client's.
    allowedHeaders: exactly(authorization.shown.filter((name) => !added.includes(name))),
  };
}

function httpService(
  { pathPrefix = "", timeoutMs, added = [], taken, owned = [] }: Authorization,
  { cluster, linkerd }: AuthDestination,
): Fields<HttpService, MessageInitShape<typeof HttpServiceSchema>> {
  return {
    // The URI's own text is not used; it has to be one.
    serverUri: {
      uri: "http://authorization.invalid",
      httpUpstreamType: { case: "cluster", value: cluster },
      timeout: duration(timeoutMs),
    },
    // A kept connection may close as it is used. A question may be asked twice, whatever the method of what it is about.
    retryPolicy: { retryOn: "connect-failure,refused-stream,reset", numRetries: 1 },
    pathPrefix,
    authorizationRequest: {
      headersToAdd: [
        ...added.map(({ name, value }) => ({ key: name, value: literally(value) })),
        ...(linkerd === undefined ? [] : [{ key: "l5d-dst-override", value: literally(linkerd) }]),
      ],
    },
    authorizationResponse: {
      allowedUpstreamHeaders: exactly(taken.filter((name) => !owned.includes(name))),
      ...(owned.length === 0 ? {} : { dynamicMetadataFromHeaders: exactly(owned) }),
      allowedClientHeaders: exactly([...taken, ...OF_A_REFUSAL].sort()),
    },
  };
}

/**
 * Headers that only the service may set: Envoy would leave a client's own copy where the service says nothing, so they are
 * removed first and then set from what the service said, which Envoy kept beside the request.
 */
function ownedHeaders({ owned = [], protocol }: Authorization): Mutation[] {
  if (protocol === "grpc") return [];
  return owned.flatMap((name): Mutation[] => [
    { action: { case: "remove", value: name } },
    {
      action: {
        case: "append",
        value: {
          header: { key: name, value: `%DYNAMIC_METADATA(envoy.filters.http.ext_authz:${name})%` },
          appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
        },
      },
    },
  ]);
}

/** What becomes of the request's headers after the answer, when the service has seen them. */
function afterwards(authorization: Authorization): Filter[] {
  const requestMutations = ownedHeaders(authorization);
  // A client's trailer may not add to what the service says (RFC 9110 §6.5.1).
  const requestTrailersMutations = authorization.taken.map(
    (name): Mutation => ({ action: { case: "remove", value: name } }),
  );
  if (requestMutations.length + requestTrailersMutations.length === 0) return [];
  const message = create(MutationFilterSchema, { mutations: { requestMutations, requestTrailersMutations } });
  return [
    { name: AFTERWARDS, configType: { case: "typedConfig", value: pack(MutationFilterSchema, message) } },
  ];
}

/** What describes a refusal's body, and whether it may be kept. */
const OF_A_REFUSAL = ["cache-control", "content-encoding", "content-language", "content-type", "retry-after"];

function exactly(names: readonly string[]): MessageInitShape<typeof ListStringMatcherSchema> {
  return {
    patterns: names.map((value) => ({ matchPattern: { case: "exact", value }, ignoreCase: true })),
  };
}

/** Values that Envoy would read as a format. */
function literally(value: string): string {
  return value.replaceAll("%", "%%");
}
