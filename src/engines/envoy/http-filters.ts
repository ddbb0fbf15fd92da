import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../model/gateway.ts";
import type { HttpSettings } from "../../model/http.ts";
import { pack } from "../../protobuf/any.ts";
import { BufferSchema } from "../../protobuf/generated/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import { CorsSchema } from "../../protobuf/generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HeaderMutationSchema } from "../../protobuf/generated/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { HealthCheckSchema } from "../../protobuf/generated/envoy/extensions/filters/http/health_check/v3/health_check_pb.js";
import { RouterSchema } from "../../protobuf/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { addressFilters } from "./address-filter.ts";
import { authorizationFilters } from "./authorization.ts";
import { compressionFilters } from "./compression.ts";
import { CORS_FILTER, HEADER_FILTER } from "./cors.ts";
import { errorBodyFilters } from "./error-bodies.ts";
import { rateLimitFilters } from "./outside-services.ts";
import { requestPathFilter } from "./request-path.ts";
import type { TranslationContext } from "./translation-context.ts";
import { requestChecks } from "./request-checks.ts";

type Filter = MessageInitShape<typeof HttpFilterSchema>;

/** What a request passes on its way, in order. `forUpgrades`: of a request that becomes a tunnel, whose bytes never end. */
export function httpFilters(
  model: GatewayModel,
  forUpgrades: boolean,
  { accessLog, namesRevision }: Pick<TranslationContext, "accessLog" | "namesRevision">,
): Filter[] {
  const { http } = model;
  return [
    // Before anybody changes it.
    ...(accessLog === true ? [requestPathFilter(namesRevision === true)] : []),
    // Early on the way in, so late on the way out: what the filters below make of a response is compressed as well.
    ...(forUpgrades ? [] : compressionFilters(http)),
    // Last but for that: it replaces what the filters below answer.
    ...errorBodyFilters(model),
    // Whoever may not come in learns nothing else.
    ...addressFilters(http),
    // A probe comes by address, without a host's name: before any route is asked for.
    ...probes(http),
    // What neither side is to hear, whoever answers.
    CLEANING,
    // What the parser should have refused: before anybody believes it.
    requestChecks(),
    // A preflight carries no credentials: it is answered before anybody is asked about it. For routes that have no `cors` as well: the first
    // one that has would change the listener, which ends WebSockets and long responses of all.
    CORS,
    // Before authorization, which may be shown the body: what is too large is refused first.
    ...(http.maxBodyBytes !== undefined && !forUpgrades ? [buffer(http.maxBodyBytes)] : []),
    ...authorizationFilters(model),
    // After it: who is refused does not use up anybody's rate, and limits may go by what the service said.
    ...rateLimitFilters(model),
    ROUTER,
  ];
}

/** RFC 9110 §6.5.1: framing, routing, authentication and identity never come in a trailer. */
const NEVER_TRAILING =
  "host|content-(?:length|encoding|type|range)|transfer-encoding|connection|keep-alive|proxy-connection|te|upgrade|expect|" +
  "trailer|server|date|http2-settings|authorization|proxy-authorization|cookie|set-cookie|cache-control|max-forwards|range|" +
  "if-.*|www-authenticate|age|expires|location|retry-after|vary|x-forwarded-.*|forwarded|x-request-id|x-envoy-.*|l5d-dst-override";

const CLEANED_TRAILERS = [
  {
    action: {
      case: "removeOnMatch",
      value: {
        keyMatcher: { matchPattern: { case: "safeRegex", value: { regex: NEVER_TRAILING } } },
      },
    },
  },
] as const;

const CLEANING: Filter = {
  name: HEADER_FILTER,
  configType: {
    case: "typedConfig",
    value: pack(
      HeaderMutationSchema,
      create(HeaderMutationSchema, {
        mutations: {
          // Envoy tells upstreams whom it takes for a stranger.
          requestMutations: [{ action: { case: "remove", value: "x-envoy-external-address" } }],
          requestTrailersMutations: [...CLEANED_TRAILERS],
          responseTrailersMutations: [...CLEANED_TRAILERS],
        },
      }),
    ),
  },
};

const CORS: Filter = {
  name: CORS_FILTER,
  configType: { case: "typedConfig", value: pack(CorsSchema, create(CorsSchema)) },
};

const ROUTER: Filter = {
  name: "envoy.filters.http.router",
  configType: {
    case: "typedConfig",
    // Neither upstreams nor clients are told how Envoy went about it.
    value: pack(RouterSchema, create(RouterSchema, { suppressEnvoyHeaders: true })),
  },
};

/** As 1.14's always-present routes (reference §2.5.7). */
const PROBES = { ready: "/ambassador/v0/check_ready", alive: "/ambassador/v0/check_alive" } as const;

function probes({ probes: { ready, alive } = PROBES }: HttpSettings): Filter[] {
  return [ready, alive].filter((prefix) => prefix !== null).map(probe);
}

function probe(prefix: string): Filter {
  return {
    name: "envoy.filters.http.health_check",
    configType: {
      case: "typedConfig",
      value: pack(
        HealthCheckSchema,
        create(HealthCheckSchema, {
          passThroughMode: false,
          headers: [
            {
              name: ":path",
              headerMatchSpecifier: {
                case: "stringMatch",
                value: { matchPattern: { case: "prefix", value: prefix } },
              },
            },
          ],
        }),
      ),
    },
  };
}

/** Larger bodies get 413. */
function buffer(maxBodyBytes: number): Filter {
  return {
    name: "envoy.filters.http.buffer",
    configType: {
      case: "typedConfig",
      value: pack(BufferSchema, create(BufferSchema, { maxRequestBytes: maxBodyBytes })),
    },
  };
}
