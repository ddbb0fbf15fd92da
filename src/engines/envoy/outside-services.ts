import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../model/gateway.ts";
import type { OutsideService } from "../../model/outside.ts";
import { pack } from "../../protobuf/any.ts";
import type { AccessLogSchema } from "../../protobuf/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import { ApiVersion } from "../../protobuf/generated/envoy/config/core/v3/config_source_pb.js";
import {
  type CommonGrpcAccessLogConfigSchema,
  HttpGrpcAccessLogConfigSchema,
  TcpGrpcAccessLogConfigSchema,
} from "../../protobuf/generated/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import { RateLimitSchema } from "../../protobuf/generated/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { duration } from "./duration.ts";
import { grpcService } from "./grpc-service.ts";

/** Asks the RateLimitService, by the descriptors of each route; requests pass while it cannot be asked. */
export function rateLimitFilters(model: GatewayModel): MessageInitShape<typeof HttpFilterSchema>[] {
  const [service] = servicesOf(model, "rate-limit");
  if (service === undefined) return [];
  const { domain = "ambassador", timeout_ms: timeoutMs = 20 } = service.settings as RateLimitSettings;
  const message = create(RateLimitSchema, {
    domain,
    requestType: "both",
    timeout: duration(timeoutMs),
    rateLimitService: {
      grpcService: grpcService(service.cluster, timeoutMs),
      transportApiVersion: ApiVersion.V3,
    },
  });
  return [
    {
      name: "envoy.filters.http.ratelimit",
      configType: { case: "typedConfig", value: pack(RateLimitSchema, message) },
    },
  ];
}

/** The logs that go to LogServices: of requests (`driver: http`) or, on any listener, of connections (`driver: tcp`). */
export function logServices(
  model: GatewayModel,
  listener: "http" | "tcp",
): MessageInitShape<typeof AccessLogSchema>[] {
  return servicesOf(model, "log").flatMap((service) => {
    const { driver, driver_config: { additional_log_headers: headers = [] } = {} } =
      service.settings as unknown as LogSettings;
    if (driver === "http" && listener === "tcp") return [];
    const commonConfig = stream(service);
    if (driver === "tcp") {
      const message = create(TcpGrpcAccessLogConfigSchema, { commonConfig });
      return {
        name: "envoy.access_loggers.tcp_grpc",
        configType: { case: "typedConfig", value: pack(TcpGrpcAccessLogConfigSchema, message) },
      };
    }
    const named = (during: "during_request" | "during_response" | "during_trailer"): string[] =>
      headers.filter((header) => header[during] ?? true).map(({ header_name: name }) => name.toLowerCase());
    const message = create(HttpGrpcAccessLogConfigSchema, {
      commonConfig,
      additionalRequestHeadersToLog: named("during_request"),
      additionalResponseHeadersToLog: named("during_response"),
      additionalResponseTrailersToLog: named("during_trailer"),
    });
    return {
      name: "envoy.access_loggers.http_grpc",
      configType: { case: "typedConfig", value: pack(HttpGrpcAccessLogConfigSchema, message) },
    };
  });
}

/** Those of one kind. */
export function servicesOf({ outside = [] }: GatewayModel, kind: OutsideService["kind"]): OutsideService[] {
  return outside.filter((service) => service.kind === kind);
}

interface RateLimitSettings {
  readonly domain?: string;
  readonly timeout_ms?: number;
}

interface LogSettings {
  readonly driver: "http" | "tcp";
  readonly driver_config?: {
    readonly additional_log_headers?: readonly {
      readonly header_name: string;
      readonly during_request?: boolean;
      readonly during_response?: boolean;
      readonly during_trailer?: boolean;
    }[];
  };
  readonly flush_interval_time?: number;
  readonly flush_interval_byte_size?: number;
}

function stream({
  name,
  cluster,
  settings,
}: OutsideService): MessageInitShape<typeof CommonGrpcAccessLogConfigSchema> {
  const { flush_interval_time: seconds = 1, flush_interval_byte_size: bytes = 16_384 } =
    settings as unknown as LogSettings;
  return {
    logName: name.slice(name.lastIndexOf("/") + 1),
    grpcService: grpcService(cluster),
    transportApiVersion: ApiVersion.V3,
    bufferFlushInterval: duration(seconds * 1000),
    bufferSizeBytes: bytes,
  };
}
