import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { addressText } from "../../model/address.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import type { OutsideService } from "../../model/outside.ts";
import { pack } from "../../protobuf/any.ts";
import { DatadogConfigSchema } from "../../protobuf/generated/envoy/config/trace/v3/datadog_pb.js";
import {
  ZipkinConfig_CollectorEndpointVersion as Version,
  ZipkinConfigSchema,
} from "../../protobuf/generated/envoy/config/trace/v3/zipkin_pb.js";
import type { HttpConnectionManager_TracingSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { servicesOf } from "./outside-services.ts";

/** Spans of requests for the TracingService, where there is one. */
export function tracing(model: GatewayModel): {
  tracing?: MessageInitShape<typeof HttpConnectionManager_TracingSchema>;
} {
  const [service] = servicesOf(model, "tracing");
  if (service === undefined) return {};
  const { sampling = {}, tag_headers: tags = [] } = service.settings as Settings;
  const typedConfig = tracer(service);
  if (typedConfig === null) return {};
  return {
    tracing: {
      provider: {
        name: `envoy.tracers.${service.settings.driver}`,
        configType: { case: "typedConfig" as const, value: typedConfig },
      },
      clientSampling: { value: sampling.client ?? 100 },
      randomSampling: { value: sampling.random ?? 100 },
      overallSampling: { value: sampling.overall ?? 100 },
      customTags: tags.map((tag) => ({
        tag,
        type: { case: "requestHeader" as const, value: { name: tag } },
      })),
    },
  };
}

function tracer({ cluster, settings }: OutsideService): Any | null {
  const { driver, config = {} } = settings as Settings;
  const collectorCluster = cluster.name;
  // Without it Envoy says the cluster's name, which is no host.
  const collectorHostname =
    config.collector_hostname ?? addressText(cluster.service.host, cluster.service.port);
  if (driver === "datadog") {
    const serviceName = config.service_name ?? "ambassador";
    return pack(
      DatadogConfigSchema,
      create(DatadogConfigSchema, { collectorCluster, collectorHostname, serviceName }),
    );
  }
  // Lightstep's tracer is in no Envoy of today: compile refuses it.
  if (driver !== "zipkin") return null;
  return pack(
    ZipkinConfigSchema,
    create(ZipkinConfigSchema, {
      collectorCluster,
      collectorHostname,
      collectorEndpoint: config.collector_endpoint ?? "/api/v2/spans",
      collectorEndpointVersion:
        config.collector_endpoint_version === "HTTP_PROTO" ? Version.HTTP_PROTO : Version.HTTP_JSON,
      traceId128bit: config.trace_id_128bit ?? true,
      sharedSpanContext: config.shared_span_context ?? true,
    }),
  );
}

interface Settings {
  readonly driver?: string;
  readonly sampling?: { readonly client?: number; readonly random?: number; readonly overall?: number };
  readonly tag_headers?: readonly string[];
  readonly config?: {
    readonly collector_endpoint?: string;
    readonly collector_endpoint_version?: string;
    readonly collector_hostname?: string;
    readonly trace_id_128bit?: boolean;
    readonly shared_span_context?: boolean;
    readonly service_name?: string;
  };
}
