import { isIP } from "node:net";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Destination, DestinationAction, Route } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import type { ModuleConfig } from "../resources/module.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { orderedGroups } from "./route-order.ts";
import { parseService, qualify } from "./service.ts";
import type { CompiledContext } from "./tls-contexts.ts";
import { upstreamTls } from "./upstream-tls.ts";

export interface RoutesInput {
  readonly mappings: readonly MappingResource[];
  readonly contexts: ReadonlyMap<string, CompiledContext>;
  readonly config: ModuleConfig;
  readonly verificationRequired: boolean;
  /** Closes every route, with this code. */
  readonly closedBy: string | null;
}

/** Mappings to groups, groups to routes in 1.14's order (reference §2.5.3), and the clusters that they name. */
export function compileRoutes(
  input: RoutesInput,
  diagnostics: Diagnostic[],
): { routes: Route[]; clusters: Cluster[] } {
  const clusters = new Map<string, Cluster>();
  const routes = orderedGroups(input.mappings).map((group): Route => {
    const [first] = group as [MappingResource];
    const weights = normaliseWeights(group, diagnostics);
    const destinations = group.map((mapping, index): Destination => {
      const weight = weights[index] as number;
      // What gets nothing is judged all the same, and leaves no cluster behind that nobody uses.
      const named = weight > 0 ? clusters : new Map<string, Cluster>();
      return { name: routeName(mapping), weight, action: compileAction(mapping, input, named, diagnostics) };
    });
    return {
      name: routeName(first),
      match: {
        path: { kind: "prefix", value: first.spec.prefix },
        ...(first.spec.host === undefined ? {} : { host: first.spec.host.toLowerCase() }),
      },
      destinations: destinations.some(({ weight }) => weight > 0)
        ? destinations.filter(({ weight }) => weight > 0)
        : allZero(first),
    };
  });
  return { routes, clusters: [...clusters.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

function routeName(mapping: MappingResource): string {
  return `mapping/${mapping.namespace}/${mapping.name}`;
}

function compileAction(
  mapping: MappingResource,
  input: RoutesInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): DestinationAction {
  const { spec } = mapping;
  const closedBy = input.closedBy ?? mapping.closedBy;
  if (closedBy !== null) return { kind: "fail", code: closedBy };
  const service = parseService(spec.service);
  if (typeof service === "string") {
    diagnostics.push(
      diagnose("service-invalid", {
        subject: subjectOf(mapping),
        source: positionOf(mapping, "service"),
        message: `service ${JSON.stringify(spec.service.slice(0, 80))} ${service}`,
      }),
    );
    return { kind: "fail", code: "service-invalid" };
  }
  if (service.hasPath) {
    const message = `what follows the host in ${spec.service} is not used`;
    diagnostics.push(
      diagnose("service-path-ignored", {
        subject: subjectOf(mapping),
        source: positionOf(mapping, "service"),
        message,
      }),
    );
  }
  const tls = upstreamTls(mapping, service, input.contexts, input.verificationRequired, diagnostics);
  if ("closedBy" in tls) return { kind: "fail", code: tls.closedBy };
  const port = service.port ?? (tls.mode === "cleartext" ? 80 : 443);
  const host = qualify(service.host, mapping.namespace);
  const connectTimeoutMs = spec.connect_timeout_ms ?? DEFAULT_TIMEOUT_MS;
  const cluster: Cluster = {
    name: clusterName(host, port, connectTimeoutMs, tls),
    service: { host, port },
    connectTimeoutMs,
    tls,
  };
  clusters.set(cluster.name, cluster);
  const rewrite = spec.rewrite ?? "/";
  return {
    kind: "forward",
    cluster: cluster.name,
    ...(rewrite === "" ? {} : { prefixRewrite: rewrite }),
    timeoutMs: spec.timeout_ms ?? input.config.cluster_request_timeout_ms ?? DEFAULT_TIMEOUT_MS,
    ...(spec.host_rewrite === undefined ? {} : { hostRewrite: spec.host_rewrite }),
  };
}

/** 1.14's default for both the request and the connect timeout. */
const DEFAULT_TIMEOUT_MS = 3000;

/** Readable, and made from all that decides a connection: two clusters of one name are one cluster (design §5). */
function clusterName(host: string, port: number, connectTimeoutMs: number, tls: Cluster["tls"]): string {
  const address = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  const timeout = connectTimeoutMs === DEFAULT_TIMEOUT_MS ? "" : ` connect ${connectTimeoutMs}ms`;
  if (tls.mode === "cleartext") return `${address}${timeout}`;
  // The verified name and SNI follow from the service as written, which the address alone does not tell.
  const name = tls.verification.mode === "none" ? (tls.sni ?? "") : tls.verification.name;
  return `${address} tls${tls.context === undefined ? "" : ` ${tls.context}`}${name === host ? "" : ` as ${name}`}${timeout}`;
}

/** Design §9: the weightless share what is left of 100; weights alone are normalised; over 100 they get nothing. */
function normaliseWeights(group: readonly MappingResource[], diagnostics: Diagnostic[]): number[] {
  const weightless = group.filter(({ spec }) => spec.weight === undefined).length;
  const sum = group.reduce((total, { spec }) => total + (spec.weight ?? 0), 0);
  if (weightless === group.length) return group.map(() => 1);
  if (weightless === 0) {
    for (const mapping of sum === 0 ? group : []) {
      diagnostics.push(
        diagnose("mapping-fails-closed", {
          subject: subjectOf(mapping),
          source: positionOf(mapping, "weight"),
          message: "every weight of its group is 0, so there is nowhere to send a request",
        }),
      );
    }
    return group.map(({ spec }) => spec.weight ?? 0);
  }
  if (sum < 100)
    return group.map(({ spec }) => (spec.weight === undefined ? 100 - sum : spec.weight * weightless));
  for (const mapping of group) {
    if (mapping.spec.weight !== undefined) continue;
    const message = `the weights of its group are ${sum}, so nothing is left for ${mapping.name}`;
    diagnostics.push(
      diagnose("group-member-mismatch", {
        subject: subjectOf(mapping),
        source: mapping.raw.source,
        message,
        remedy: "Give the weights of the group a sum below 100.",
      }),
    );
  }
  return group.map(({ spec }) => spec.weight ?? 0);
}

function allZero(first: MappingResource): Destination[] {
  return [{ name: routeName(first), weight: 1, action: { kind: "fail", code: "mapping-fails-closed" } }];
}
