import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { diagnose, type KnownCode } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { addressText } from "../model/address.ts";
import type { Cluster, Resolver } from "../model/cluster.ts";
import type { ModuleConfig } from "../resources/module.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { balancerProblem, type ClusterSettings, clusterSettings } from "./cluster-settings.ts";
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
  const report = (code: KnownCode, field: string, message: string): void => {
    diagnostics.push(
      diagnose(code, { subject: subjectOf(mapping), source: positionOf(mapping, field), message }),
    );
  };
  const close = ({ code, field, message, closedBy = code }: Closing): { readonly closedBy: string } => {
    report(code, field, message);
    return { closedBy };
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
    const message = `TLSContext ${spec.tls} offers h2 alone, and without grpc HTTP/1.1 is spoken`;
    return close({ code: "mapping-fails-closed", field: "tls", message });
  }
  const found = resolverFor(service, resolverName, choice);
  if ("message" in found) return close(found);
  if (found.kind === "consul" && service.port !== undefined && isIP(service.host) === 0) {
    const message = `Consul knows the ports of ${service.host}: ${service.port} is not used`;
    report("service-port-ignored", "service", message);
  }
  const balancer = shared.load_balancer ?? config.load_balancer;
  const problem = balancer === undefined ? null : balancerProblem(balancer);
  if (problem !== null)
    return close({
      code: "mapping-fails-closed",
      field: "load_balancer",
      message: `load_balancer ${problem}`,
    });
  const own = found.kind === "consul" || config.use_ambassador_namespace_for_service_resolution === true;
  const host = own ? service.host : qualify(service.host, mapping.namespace);
  const address = { host, port: service.port ?? (tls.mode === "cleartext" ? 80 : 443) };
  const settings = clusterSettings(spec, shared, config, resolverOf(found, host));
  const connectTimeoutMs = shared.connect_timeout_ms ?? DEFAULT_TIMEOUT_MS;
  return {
    service,
    cluster: {
      name: clusterName(address, tls, connectTimeoutMs, spec.cluster_tag, settings),
      service: address,
      connectTimeoutMs,
      tls: speaksHttp1(mapping) ? withoutH2(tls) : tls,
      ...settings,
    },
  };
}

/** A finding that closes what would use the cluster. */
interface Closing {
  readonly code: KnownCode;
  readonly field: string;
  readonly message: string;
  /** Another code than the finding's: that of what is named, and closed itself. */
  readonly closedBy?: string;
}

type UsableResolver = Exclude<ResolverChoice, { kind: "closed" }>;

/** Who knows the addresses of the service, or why nobody does. */
function resolverFor(
  { host }: ParsedService,
  name: string,
  choice: ResolverChoice | undefined,
): UsableResolver | Closing {
  if (choice === undefined)
    return { code: "resolver-unknown", field: "resolver", message: `resolver ${name} is unknown` };
  if (choice.kind === "closed") {
    const message = `resolver ${name} cannot be used (${choice.code})`;
    return { code: "resolver-unknown", field: "resolver", message, closedBy: choice.code };
  }
  if (choice.kind === "consul" && isIP(host) === 0 && host.includes(".")) {
    const message = `${host} has dots, and services have none in Consul: resolver ${name} is asked for a service's bare name`;
    return { code: "service-invalid", field: "service", message };
  }
  return choice;
}

function resolverOf(choice: UsableResolver, service: string): Resolver | undefined {
  // An address is reached as it is.
  if (choice.kind === "dns" || (choice.kind === "consul" && isIP(service) !== 0)) return undefined;
  return choice.kind === "consul" ? { ...choice, service } : { kind: "kubernetes-endpoint" };
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

/** What requests, logs and metrics call it; two clusters never have one name. */
function clusterName(
  { host, port }: Cluster["service"],
  tls: Cluster["tls"],
  connectTimeoutMs: number,
  tag: string | undefined,
  settings: ClusterSettings,
): string {
  return [
    addressText(host, port),
    ...tlsWords(tls, host),
    ...(connectTimeoutMs === DEFAULT_TIMEOUT_MS ? [] : [`connect ${connectTimeoutMs}ms`]),
    ...(tag === undefined ? [] : [`tag ${word(tag)}`]),
    ...(Object.keys(settings).length === 0 ? [] : [`+${fingerprint(settings)}`]),
  ].join(" ");
}

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

/** Stands for settings that no reader could take in at a glance. */
function fingerprint(settings: object): string {
  return createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 12);
}
