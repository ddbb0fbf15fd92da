import type { CircuitBreaker, Cluster, Resolver } from "../model/cluster.ts";
import type { MappingSpec } from "../resources/mapping.ts";
import type { ModuleConfig } from "../resources/module.ts";
import type { SharedSpec } from "./group.ts";
import type { ServiceUser } from "./service-user.ts";

/** What a cluster has beside its address and TLS; absent: the engines' defaults, which are 1.14's. */
export type ClusterSettings = Omit<Cluster, "name" | "service" | "connectTimeoutMs" | "tls">;

/** Settings of the Mapping, of its group and of the Module. What is as by default is left out: the model's JSON is its identity. */
export function clusterSettings(
  spec: ServiceUser["spec"],
  shared: SharedSpec,
  config: ModuleConfig,
  resolver: Resolver | undefined,
): ClusterSettings {
  const balancer = shared.load_balancer ?? config.load_balancer;
  return withoutUndefined({
    protocol: spec.grpc === true ? ("h2" as const) : undefined,
    balancer: BALANCERS[balancer?.policy ?? "round_robin"],
    resolver,
    dns: dnsSettings(spec, config),
    breakers: breakers(shared.circuit_breakers),
    keepalive: keepalive(shared.keepalive),
    idleTimeoutMs: shared.cluster_idle_timeout_ms,
    maxLifetimeMs: shared.cluster_max_connection_lifetime_ms,
    outliers: outliers(spec.outlier_detection),
  });
}

/** What is wrong with one, or null. Reference §2.5.2: those that hash take exactly one thing to go by, the others none. */
export function balancerProblem(balancer: NonNullable<MappingSpec["load_balancer"]>): string | null {
  const given = [balancer.cookie, balancer.header, balancer.source_ip].filter((value) => value !== undefined);
  const hashes = balancer.policy === "ring_hash" || balancer.policy === "maglev";
  if (hashes && given.length !== 1) return `${balancer.policy} needs one of cookie, header and source_ip`;
  return !hashes && given.length > 0 ? `${balancer.policy} takes no cookie, header or source_ip` : null;
}

const BALANCERS = {
  round_robin: undefined,
  least_request: "least-request",
  ring_hash: "ring-hash",
  maglev: "maglev",
} as const;

function dnsSettings(spec: ServiceUser["spec"], config: ModuleConfig): Cluster["dns"] | undefined {
  const v4 = spec.enable_ipv4 ?? config.enable_ipv4 ?? true;
  const v6 = spec.enable_ipv6 ?? config.enable_ipv6 ?? false;
  const dns = withoutUndefined({
    family: v6 ? (v4 ? ("both" as const) : ("v6" as const)) : undefined,
    respectTtl: spec.respect_dns_ttl === true ? (true as const) : undefined,
    logical: spec.dns_type === "logical_dns" ? (true as const) : undefined,
  });
  return Object.keys(dns).length === 0 ? undefined : dns;
}

function breakers(written: MappingSpec["circuit_breakers"]): Cluster["breakers"] | undefined {
  if (written === undefined || written.length === 0) return undefined;
  const found: { default?: CircuitBreaker; high?: CircuitBreaker } = {};
  for (const { priority = "default", ...limits } of written) {
    found[priority] = withoutUndefined({
      maxConnections: limits.max_connections,
      maxPendingRequests: limits.max_pending_requests,
      maxRequests: limits.max_requests,
      maxRetries: limits.max_retries,
    });
  }
  return { ...(found.default && { default: found.default }), ...(found.high && { high: found.high }) };
}

function keepalive(written: MappingSpec["keepalive"]): Cluster["keepalive"] | undefined {
  if (written === undefined) return undefined;
  return withoutUndefined({
    idleSeconds: written.idle_time ?? written.time,
    intervalSeconds: written.interval,
    probes: written.probes,
  });
}

/** The defaults are Envoy's. */
function outliers(written: MappingSpec["outlier_detection"]): Cluster["outliers"] | undefined {
  if (written === undefined) return undefined;
  return {
    consecutive5xx: written.consecutive_5xx ?? 5,
    consecutiveGatewayFailures: written.consecutive_gateway_failure ?? 5,
    intervalMs: written.interval_ms ?? 10_000,
    baseEjectionMs: written.base_ejection_time_ms ?? 30_000,
    maxEjectionPercent: written.max_ejection_percent ?? 10,
  };
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Absent, not undefined: the model's JSON is its identity. */
function withoutUndefined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
