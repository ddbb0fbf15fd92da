import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { type EngineName, limitOf } from "../model/capabilities.ts";
import type { OutsideService } from "../model/outside.ts";
import { notActedOn, type OutsideServiceResource } from "../resources/outside-service.ts";
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

const KINDS = { RateLimitService: "rate-limit", LogService: "log", TracingService: "tracing" } as const;
