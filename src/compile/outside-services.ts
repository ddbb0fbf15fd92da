import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { type EngineName, limitOf } from "../model/capabilities.ts";
import type { OutsideService } from "../model/outside.ts";
import { notActedOn, type OutsideServiceResource } from "../resources/outside-service.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { type ClusterInput, compileCluster } from "./clusters.ts";

/** Rate limits, logs and spans: an engine that speaks to such services finds them here. One that cannot be used is left out. */
export function compileOutsideServices(
  services: readonly OutsideServiceResource[],
  input: ClusterInput,
  engine: EngineName,
  diagnostics: Diagnostic[],
): OutsideService[] {
  const found = services.flatMap((resource): OutsideService[] => {
    const kind = KINDS[resource.kind];
    if (limitOf(engine, `${kind}-service`) !== null) diagnostics.push(notActedOn(resource, resource.raw));
    else {
      const refused = refusal(resource);
      if (refused !== null) {
        const at = { subject: subjectOf(resource), source: positionOf(resource, refused.field) };
        const message = `${resource.kind} ${resource.name} is not acted on: ${refused.message}`;
        diagnostics.push(diagnose("kind-not-supported", { ...at, message, remedy: refused.remedy }));
        return [];
      }
    }
    const { service, tls, grpc, ...settings } = resource.spec;
    const compiled = compileCluster(
      {
        ...resource,
        // Envoy's interfaces for limits and logs are gRPC, whatever `grpc` says; collectors of spans are spoken to in HTTP/1.1.
        spec: {
          service,
          grpc: resource.kind !== "TracingService",
          ...(tls === undefined ? {} : { tls }),
        },
      },
      {},
      input,
      diagnostics,
    );
    if ("closedBy" in compiled) return [];
    return [
      {
        kind,
        name: `${resource.kind.toLowerCase()}/${resource.namespace}/${resource.name}`,
        cluster: compiled.cluster,
        settings: Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))),
      },
    ];
  });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What no engine of today speaks: Envoy has dropped it. */
function refusal({ spec }: OutsideServiceResource): {
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
} | null {
  if (spec.protocol_version === "v2")
    return {
      field: "protocol_version",
      message: "the interface v2 is gone, Envoy speaks v3",
      remedy: "Write `protocol_version: v3`, with a service that speaks it.",
    };
  if (spec.driver === "lightstep")
    return {
      field: "driver",
      message: "Envoy has no lightstep tracer any more",
      remedy: "Use `driver: zipkin` or `driver: datadog`.",
    };
  const { collector_endpoint_version: version } = (spec.config ?? {}) as Record<string, unknown>;
  if (version === "HTTP_JSON_V1")
    return {
      field: "config",
      message: "Envoy does not write zipkin's first version any more",
      remedy: "Write `collector_endpoint_version: HTTP_JSON`.",
    };
  return null;
}

const KINDS = { RateLimitService: "rate-limit", LogService: "log", TracingService: "tracing" } as const;
