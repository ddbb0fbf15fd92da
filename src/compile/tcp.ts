import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { EngineName } from "../model/capabilities.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Listener, VirtualHost } from "../model/listener.ts";
import type { TcpChain, TcpDestination, TcpListener, TcpTls } from "../model/tcp.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { TcpMappingResource } from "../resources/tcp-mapping.ts";
import { type ClusterInput, compileCluster } from "./clusters.ts";
import { clusterLimit } from "./engine-limits.ts";
import { normaliseWeights } from "./weights.ts";

export interface TcpInput extends ClusterInput {
  readonly tcpMappings: readonly TcpMappingResource[];
  /** They say which names are terminated, and how. */
  readonly virtualHosts: readonly VirtualHost[];
  /** Their ports are taken. */
  readonly listeners: readonly Listener[];
  /** Where a TCPMapping without `address` listens. */
  readonly address: string;
  readonly engine: EngineName;
}

/** TCPMappings to listeners, one a port, each with a chain for every server name (reference §2.8, design §5), and their clusters. */
export function compileTcp(
  input: TcpInput,
  diagnostics: Diagnostic[],
): { listeners: TcpListener[]; clusters: Cluster[] } {
  const clusters = new Map<string, Cluster>();
  const listeners: TcpListener[] = [];
  const found: Diagnostic[] = [];
  const byPlace = groupBy(
    input.tcpMappings,
    ({ spec }) => `tcp-${spec.address ?? input.address}-${spec.port}`,
  );
  for (const [name, mappings] of byPlace) {
    const [{ spec }] = mappings as [TcpMappingResource];
    const place = { name, address: spec.address ?? input.address, port: spec.port };
    const owner = [...input.listeners, ...listeners].find((other) => overlap(place, other));
    if (owner !== undefined) found.push(...mappings.map((mapping) => portTaken(mapping, owner.name)));
    else {
      const groups = groupBy(mappings, (mapping) => serverNameOf(mapping) ?? LAST);
      const chains = [...groups.values()].map((group) => compileChain(group, input, clusters, found));
      listeners.push({ ...place, chains });
    }
  }
  diagnostics.push(...found.map(inTermsOfTcp));
  return { listeners, clusters: [...clusters.values()] };
}

/** Behind every server name. */
const LAST = "\uffff";

/** In the order of the keys; within one, as given. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Two of the gateway's own listeners cannot both have a port of one address, or of all of them. */
function overlap(a: { address: string; port: number }, b: { address: string; port: number }): boolean {
  const isEvery = (address: string): boolean => address === "0.0.0.0" || address === "::";
  return a.port === b.port && (a.address === b.address || isEvery(a.address) || isEvery(b.address));
}

function portTaken(mapping: TcpMappingResource, owner: string): Diagnostic {
  const message = `port ${mapping.spec.port} is the ${owner} listener's, so ${mapping.name} takes no connections there`;
  const source = positionOf(mapping, "port");
  return diagnose("tcp-port-unavailable", { subject: subjectOf(mapping), source, message });
}

function serverNameOf({ spec }: TcpMappingResource): string | null {
  return spec.host?.toLowerCase().replace(/\.$/, "") ?? null;
}

/** One group: the same port, address and host. */
function compileChain(
  group: readonly TcpMappingResource[],
  input: TcpInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): TcpChain {
  const [first] = group as [TcpMappingResource];
  const serverName = serverNameOf(first);
  const tls = chainTls(serverName, input.virtualHosts);
  if (tls.mode === "refuse") reportRefused(group, serverName as string, tls.code, diagnostics);
  const weights = normaliseWeights(group, diagnostics);
  const destinations = group.map((mapping, index): TcpDestination => {
    const weight = weights[index] as number;
    // What gets nothing is judged all the same, and leaves no cluster behind that nobody uses.
    const named = weight > 0 && tls.mode !== "refuse" ? clusters : new Map<string, Cluster>();
    const action = compileAction(mapping, tls, input, named, diagnostics);
    return {
      name: `tcpmapping/${mapping.namespace}/${mapping.name}`,
      weight,
      action: tls.mode === "refuse" ? { kind: "fail", code: tls.code } : action,
    };
  });
  const reached = destinations.filter(({ weight }) => weight > 0);
  const nowhere: TcpDestination = {
    name: (destinations[0] as TcpDestination).name,
    weight: 1,
    action: { kind: "fail", code: "tcp-mapping-fails-closed" },
  };
  return { serverName, tls, destinations: reached.length > 0 ? reached : [nowhere] };
}

/** A name that a TLSContext has is terminated as that context says, or refused; one that none has goes on unopened. */
function chainTls(serverName: string | null, virtualHosts: readonly VirtualHost[]): TcpTls {
  if (serverName === null) return { mode: "cleartext" };
  const tls = virtualHosts.find(({ domain }) => domain === serverName)?.tls;
  if (tls === undefined || tls.mode === "cleartext") return { mode: "passthrough" };
  return tls.mode === "refuse" ? tls : { ...tls, parameters: { ...tls.parameters, carries: "bytes" } };
}

function reportRefused(
  group: readonly TcpMappingResource[],
  serverName: string,
  code: string,
  diagnostics: Diagnostic[],
): void {
  for (const mapping of group) {
    const message = `what serves ${serverName} over TLS cannot be used (${code}), and nothing is taken without it`;
    const source = positionOf(mapping, "host");
    const remedy = "Mend the TLSContext that has the host; its own finding says how.";
    diagnostics.push(
      diagnose("tcp-mapping-fails-closed", { subject: subjectOf(mapping), source, message, remedy }),
    );
  }
}

function compileAction(
  mapping: TcpMappingResource,
  tls: TcpTls,
  input: TcpInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): TcpDestination["action"] {
  if (mapping.closedBy !== null) return { kind: "fail", code: mapping.closedBy };
  const { tls: written, ...spec } = mapping.spec;
  const subject = subjectOf(mapping);
  if (tls.mode === "passthrough" && written !== undefined && written !== false) {
    const message = `no TLSContext has the host ${spec.host}, so its TLS is passed on unopened, and put into no other`;
    const source = positionOf(mapping, "tls");
    diagnostics.push(diagnose("tcp-tls-without-termination", { subject, source, message }));
    return { kind: "fail", code: "tcp-tls-without-termination" };
  }
  const service = spec.service.replace(SCHEME, "");
  if (service !== spec.service) {
    const message = `the scheme of ${spec.service} means nothing to a TCPMapping`;
    const source = positionOf(mapping, "service");
    diagnostics.push(diagnose("service-scheme-ignored", { subject, source, message }));
  }
  // Balancers of the Module's go by what is in a request.
  const { load_balancer: _, circuit_breakers, keepalive, ...config } = input.config;
  const breakers = spec.circuit_breakers ?? circuit_breakers;
  const compiled = compileCluster(
    // `tls: false` is what is written where cleartext is meant.
    {
      ...mapping,
      spec: { ...spec, service, ...(written === undefined || written === false ? {} : { tls: written }) },
    },
    {
      ...(breakers === undefined ? {} : { circuit_breakers: breakers }),
      ...(keepalive === undefined ? {} : { keepalive }),
    },
    { ...input, config },
    diagnostics,
  );
  if ("closedBy" in compiled) return { kind: "fail", code: compiled.closedBy };
  const cluster = carryingBytes(compiled.cluster);
  const limit = clusterLimit(cluster, input.engine);
  if (limit !== null) {
    const source = positionOf(mapping, limit.field);
    diagnostics.push(diagnose("engine-cannot", { subject, source, message: limit.message }));
    return { kind: "fail", code: "engine-cannot" };
  }
  clusters.set(cluster.name, cluster);
  const { idle_timeout_ms: idle } = spec;
  return {
    kind: "forward",
    cluster: cluster.name,
    ...(idle === undefined ? {} : { idleTimeoutMs: Number(idle) }),
  };
}

const SCHEME = /^\s*[A-Za-z][A-Za-z0-9+.-]*:\/\//;

/** Never one that requests go to as well: what is said in the handshake differs. */
function carryingBytes(cluster: Cluster): Cluster {
  const { tls } = cluster;
  return {
    ...cluster,
    name: `${cluster.name} tcp`,
    tls: tls.mode === "cleartext" ? tls : { ...tls, parameters: { ...tls.parameters, carries: "bytes" } },
  };
}

/** Findings of passes that speak of routes and 503, where a connection is closed. */
function inTermsOfTcp(found: Diagnostic): Diagnostic {
  const { code, subject, source, message, remedy } = found;
  if (code === "mapping-fails-closed") {
    const own = remedy.includes("503") ? {} : { remedy };
    return diagnose("tcp-mapping-fails-closed", { subject, source, message, ...own });
  }
  return found.effect === "route-fails-closed" ? { ...found, effect: "connections-refused" } : found;
}
