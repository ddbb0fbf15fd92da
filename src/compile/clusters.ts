import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { addressText } from "../model/address.ts";
import type { CircuitBreaker, Cluster, Resolver } from "../model/cluster.ts";
import type { MappingSpec } from "../resources/mapping.ts";
import type { ModuleConfig } from "../resources/module.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { SharedSpec } from "./group.ts";
import type { ResolverChoice } from "./resolvers.ts";
import { type ParsedService, parseService, qualify } from "./service.ts";
import type { ServiceUser } from "./service-user.ts";
import type { CompiledContext } from "./tls-contexts.ts";
import { upstreamTls } from "./upstream-tls.ts";

/** What clusters are made with, beside the Mapping. */
export interface ClusterInput {
  readonly contexts: ReadonlyMap<string, CompiledContext>;
  readonly config: ModuleConfig;
  readonly verificationRequired: boolean;
  readonly resolvers: ReadonlyMap<string, ResolverChoice>;
}

export interface CompiledCluster {
  readonly cluster: Cluster;
  readonly service: ParsedService;
}

/** The cluster that requests go to, or the code that closes what would use it. */
export function compileCluster(
  mapping: ServiceUser,
  shared: SharedSpec,
  input: ClusterInput,
  diagnostics: Diagnostic[],
): CompiledCluster | { readonly closedBy: string } {
  const { spec } = mapping;
  const { config } = input;
  const report = (code: Parameters<typeof diagnose>[0], field: string, message: string): void => {
    diagnostics.push(
      diagnose(code, { subject: subjectOf(mapping), source: positionOf(mapping, field), message }),
    );
  };
  const service = readService(mapping, diagnostics);
  if (service === null) return { closedBy: "service-invalid" };
  if (service.hasPath)
    report("service-path-ignored", "service", `what follows the host in ${spec.service} is not used`);
  const resolverName = spec.resolver ?? config.resolver ?? "kubernetes-service";
  const choice = input.resolvers.get(resolverName);
  const resolver = { name: resolverName, choice };
  const tls = upstreamTls(mapping, service, { ...input, resolver }, diagnostics);
  if ("closedBy" in tls) return tls;
  if (speaksHttp1(mapping) && offersOnlyH2(tls)) {
    report(
      "mapping-fails-closed",
      "tls",
      `TLSContext ${spec.tls} offers h2 alone, and without grpc HTTP/1.1 is spoken`,
    );
    return { closedBy: "mapping-fails-closed" };
  }
  if (choice === undefined) {
    report("resolver-unknown", "resolver", `resolver ${resolverName} is unknown`);
    return { closedBy: "resolver-unknown" };
  }
  if (choice.kind === "closed") {
    report("resolver-unknown", "resolver", `resolver ${resolverName} cannot be used (${choice.code})`);
    return { closedBy: choice.code };
  }
  if (choice.kind === "consul" && isIP(service.host) === 0 && service.host.includes(".")) {
    report(
      "service-invalid",
      "service",
      `${service.host} has dots, and services have none in Consul: resolver ${resolverName} is asked for a service's bare name`,
    );
    return { closedBy: "service-invalid" };
  }
  if (choice.kind === "consul" && service.port !== undefined && isIP(service.host) === 0)
    report(
      "service-port-ignored",
      "service",
      `Consul knows the ports of ${service.host}: ${service.port} is not used`,
    );
  const balancer = shared.load_balancer ?? config.load_balancer;
  const problem = balancer === undefined ? null : balancerProblem(balancer);
  if (problem !== null) {
    report("mapping-fails-closed", "load_balancer", `load_balancer ${problem}`);
    return { closedBy: "mapping-fails-closed" };
  }
  const own = choice.kind === "consul" || config.use_ambassador_namespace_for_service_resolution === true;
  const host = own ? service.host : qualify(service.host, mapping.namespace);
  const address = { host, port: service.port ?? (tls.mode === "cleartext" ? 80 : 443) };
  const settings = withoutUndefined({
    protocol: spec.grpc === true ? ("h2" as const) : undefined,
    balancer: BALANCERS[balancer?.policy ?? "round_robin"],
    resolver: resolverOf(choice, host),
    dns: dnsSettings(spec, config),
    breakers: breakers(shared.circuit_breakers),
    keepalive: keepalive(shared.keepalive),
    idleTimeoutMs: shared.cluster_idle_timeout_ms,
    maxLifetimeMs: shared.cluster_max_connection_lifetime_ms,
    outliers: outliers(spec.outlier_detection),
  });
  const connectTimeoutMs = shared.connect_timeout_ms ?? DEFAULT_TIMEOUT_MS;
  const name = [
    addressText(host, address.port),
    ...tlsWords(tls, host),
    ...(connectTimeoutMs === DEFAULT_TIMEOUT_MS ? [] : [`connect ${connectTimeoutMs}ms`]),
    ...(spec.cluster_tag === undefined ? [] : [`tag ${word(spec.cluster_tag)}`]),
    ...(Object.keys(settings).length === 0 ? [] : [`+${fingerprint(settings)}`]),
  ].join(" ");
  return {
    service,
    cluster: {
      name,
      service: address,
      connectTimeoutMs,
      tls: speaksHttp1(mapping) ? withoutH2(tls) : tls,
      ...settings,
    },
  };
}

/** Bytes may be of any protocol. */
function speaksHttp1({ kind, spec }: ServiceUser): boolean {
  return kind !== "TCPMapping" && spec.grpc !== true;
}

function offersOnlyH2(tls: Cluster["tls"]): boolean {
  if (tls.mode === "cleartext") return false;
  const { alpn } = tls.parameters;
  return alpn.length > 0 && alpn.every((protocol) => protocol === "h2");
}

/** A peer that chose h2 would be spoken to in HTTP/1.1 all the same. */
function withoutH2(tls: Cluster["tls"]): Cluster["tls"] {
  if (tls.mode === "cleartext" || !tls.parameters.alpn.includes("h2")) return tls;
  const alpn = tls.parameters.alpn.filter((protocol) => protocol !== "h2");
  return { ...tls, parameters: { ...tls.parameters, alpn } };
}

/** Stands for settings that no reader could take in at a glance. */
function fingerprint(settings: object): string {
  return createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 12);
}

/** The parts of a `service`; null where it cannot be read, which is said. */
export function readService(user: ServiceUser, diagnostics: Diagnostic[]): ParsedService | null {
  const service = parseService(user.spec.service);
  if (typeof service !== "string") return service;
  const message = `service ${JSON.stringify(user.spec.service.slice(0, 80))} ${service}`;
  const at = { subject: subjectOf(user), source: positionOf(user, "service") };
  diagnostics.push(diagnose("service-invalid", { ...at, message }));
  return null;
}

/** 1.14's default for both the request and the connect timeout. */
export const DEFAULT_TIMEOUT_MS = 3000;

/** The verified name and SNI follow from the service as written, which the address alone does not tell. */
function tlsWords(tls: Cluster["tls"], host: string): string[] {
  if (tls.mode === "cleartext") return [];
  const name = tls.verification.mode === "none" ? (tls.sni ?? "") : tls.verification.name;
  return [
    "tls",
    ...(tls.context === undefined ? [] : [word(tls.context)]),
    ...(name === host ? [] : [`as ${name}`]),
  ];
}

/** What somebody has written may hold blanks, and must not be taken for words of ours: two clusters never have one name. */
function word(written: string): string {
  return /^[\w./-]+$/.test(written) ? written : JSON.stringify(written);
}

const BALANCERS = {
  round_robin: undefined,
  least_request: "least-request",
  ring_hash: "ring-hash",
  maglev: "maglev",
} as const;

/** Reference §2.5.2: those that hash take exactly one thing to go by, the others none. */
function balancerProblem(balancer: NonNullable<MappingSpec["load_balancer"]>): string | null {
  const given = [balancer.cookie, balancer.header, balancer.source_ip].filter((value) => value !== undefined);
  const hashes = balancer.policy === "ring_hash" || balancer.policy === "maglev";
  if (hashes && given.length !== 1) return `${balancer.policy} needs one of cookie, header and source_ip`;
  return !hashes && given.length > 0 ? `${balancer.policy} takes no cookie, header or source_ip` : null;
}

function resolverOf(
  choice: Exclude<ResolverChoice, { kind: "closed" }>,
  service: string,
): Resolver | undefined {
  // An address is reached as it is.
  if (choice.kind === "dns" || (choice.kind === "consul" && isIP(service) !== 0)) return undefined;
  return choice.kind === "consul" ? { ...choice, service } : { kind: "kubernetes-endpoint" };
}

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
