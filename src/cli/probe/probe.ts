import { isIP } from "node:net";
import type { CredentialStore } from "../../credentials/store.ts";
import { createDnsEndpoints } from "../../endpoints/dns.ts";
import { EndpointStore } from "../../endpoints/store.ts";
import type { Endpoint } from "../../endpoints/endpoint.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { VirtualHost } from "../../model/listener.ts";
import type { ProbeContext } from "../../probe/context.ts";
import { probeListener } from "../../probe/listener.ts";
import type { PeerReport, ProbeReport } from "../../probe/report.ts";
import { probeUpstream } from "../../probe/upstream.ts";
import type { ResourceSet } from "../../resources/resource-set.ts";
import { systemClock } from "../../telemetry/clock.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { wireEndpoints } from "../endpoint-sources.ts";
import { loadGateway, type LoadedGateway, type ResourceFlags } from "../load.ts";
import { wireMesh } from "../mesh.ts";
import { allExist } from "../paths.ts";
import { endWithReader, inColour, printJson } from "../standard-output.ts";
import { closedReport } from "./closed.ts";
import { fieldPlaces } from "./field-places.ts";
import {
  type FileFlags,
  GIVEN_CREDENTIAL,
  GIVEN_TRUST,
  type GivenFiles,
  readGivenFiles,
} from "./given-files.ts";
import { findTarget, type Target, objectsOf } from "./targets.ts";
import { probeText } from "./text.ts";
import { clusterOfUrl } from "./url.ts";

export interface ProbeFlags extends ResourceFlags, FileFlags {
  readonly format: "text" | "json";
  readonly context?: string;
  readonly sni?: string;
  readonly address?: Endpoint;
  readonly offline?: boolean;
  readonly timeout?: number;
  readonly wait: number;
  readonly request?: { readonly method: string; readonly path: string };
}

/** Makes the handshakes of a Mapping, TLSContext or URL as the gateway would, and explains them. */
export async function probe(text: string, paths: readonly string[], flags: ProbeFlags): Promise<void> {
  const isUrl = /^https?:\/\//i.test(text);
  const given = readGivenFiles(flags);
  const problem =
    typeof given === "string"
      ? given
      : paths.length === 0 && (!isUrl || flags.context !== undefined)
        ? "files or folders of YAML are needed for it"
        : flags.context !== undefined && !isUrl
          ? "--context is for a URL: a Mapping names its own"
          : null;
  if (problem !== null || typeof given === "string" || !allExist(paths)) {
    if (problem !== null) console.error(`credence: ${problem}`);
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const gateway = await loadGateway(paths, flags, {}, askIssuers);
  const discovered = await askResolvers(gateway);
  const target = isUrl ? urlTarget(text, gateway, flags) : findTarget(text, gateway);
  if ("problem" in target) {
    console.error(`credence: ${target.problem}`);
    process.exitCode = 2;
    return;
  }
  const peers = await probeAll(target, gateway, given, contextOf(gateway, discovered, given, flags), flags);
  const good = peers.every(({ verdict }) => verdict.good);
  const report: ProbeReport = { version: 1, target: target.name, good, peers };
  if (flags.format === "json") printJson(report);
  else process.stdout.write(`${probeText(report, inColour())}\n`);
  process.exitCode = good ? 0 : 1;
}

type Found = Exclude<Target, { readonly problem: string }>;

function urlTarget(url: string, gateway: LoadedGateway, flags: ProbeFlags): Target {
  const cluster = clusterOfUrl(url, flags.context, gateway, flags);
  if ("problem" in cluster) return cluster;
  return { name: url, upstreams: [{ cluster, users: [] }], closed: [], domains: [] };
}

/**
 * What issuers deliver, and where Consul says that services are, is asked for once, as `run` would; who does not answer is a
 * finding about the credential or the name.
 */
async function askIssuers(resources: ResourceSet, store: CredentialStore): Promise<void> {
  const mesh = wireMesh({ store, clock: systemClock, logger: createLogger("silent") });
  await mesh.follow(resources);
  mesh.stop();
}

async function askResolvers({ compilation, resources }: LoadedGateway): Promise<EndpointStore> {
  const discovered = new EndpointStore();
  const endpoints = wireEndpoints(discovered, createDnsEndpoints({ clock: systemClock }), systemClock, {});
  endpoints.onResources(resources);
  await endpoints.prepare(compilation.model);
  endpoints.stop();
  return discovered;
}

async function probeAll(
  target: Found,
  gateway: LoadedGateway,
  given: GivenFiles,
  context: ProbeContext,
  flags: ProbeFlags,
): Promise<PeerReport[]> {
  const peers = target.closed.map((closed) => closedReport(closed, gateway.diagnostics));
  for (const { cluster, users } of target.upstreams)
    peers.push(await probeUpstream({ cluster: withGiven(cluster, given, flags.sni), users }, context));
  for (const host of target.domains) peers.push(await probeHost(host, gateway, given, flags, context));
  return peers;
}

/** A cluster as it would be with what the flags give instead. */
function withGiven(cluster: Cluster, given: GivenFiles, sni: string | undefined): Cluster {
  const { tls, service } = cluster;
  if (tls.mode === "cleartext") return cluster;
  const name = sni ?? tls.sni ?? service.host;
  const { verification } = tls;
  return {
    ...cluster,
    tls: {
      ...tls,
      ...(given.chain === null ? {} : { credential: GIVEN_CREDENTIAL }),
      ...(sni === undefined || isIP(sni) !== 0 ? {} : { sni }),
      verification:
        given.anchors !== null
          ? { ...verification, mode: "chain-and-name", trust: GIVEN_TRUST, name }
          : verification.mode === "none"
            ? verification
            : { ...verification, ...(sni === undefined ? {} : { name }) },
    },
  };
}

function probeHost(
  { domain, origin, tls }: VirtualHost,
  { compilation, resources, diagnostics }: LoadedGateway,
  given: GivenFiles,
  { sni, address, offline }: ProbeFlags,
  context: ProbeContext,
): Promise<PeerReport> | PeerReport {
  if (tls.mode !== "terminate")
    return closedReport(
      {
        name: domain,
        code: tls.mode === "refuse" ? tls.code : "",
        objects: objectsOf(origin, compilation, resources),
      },
      diagnostics,
      "listener",
    );
  const listener = compilation.model.listeners.find(({ transport }) => transport === "tls");
  const own = listener === undefined ? null : { address: listener.address, port: listener.port };
  return probeListener(
    {
      domain,
      origin,
      tls,
      domains: compilation.model.virtualHosts
        .filter((host) => host.tls.mode !== "cleartext")
        .map((host) => host.domain),
      endpoint: offline === true ? null : (address ?? own),
      behindProxy: compilation.model.http.proxyProtocol === true,
      mustAnswer: address !== undefined,
      serverName: sni ?? nameWithin(domain),
    },
    given,
    context,
  );
}

/** A name that the domain serves; null: whoever sends none. */
function nameWithin(domain: string): string | null {
  if (domain === "*") return null;
  return domain.startsWith("*.") ? `credence-probe${domain.slice(1)}` : domain;
}

function contextOf(
  gateway: LoadedGateway,
  discovered: EndpointStore,
  given: GivenFiles,
  flags: ProbeFlags,
): ProbeContext {
  return {
    credentials: overlaid(gateway.store, given),
    endpoints: createDnsEndpoints({ clock: systemClock }),
    discovered,
    issuerTrouble: (name) => gateway.store.issuerTrouble(name),
    now: Date.now(),
    timeoutMs: flags.timeout ?? null,
    settleMs: flags.wait,
    request: flags.request ?? null,
    place: fieldPlaces(gateway),
  };
}

/** The store, with what the flags give under names of their own. */
function overlaid(store: CredentialStore, given: GivenFiles): ProbeContext["credentials"] {
  const { statuses } = store;
  return {
    credential: (name) =>
      name === GIVEN_CREDENTIAL ? (given.credential ?? undefined) : store.credential(name),
    trust: (name) => (name === GIVEN_TRUST ? (given.trust ?? undefined) : store.trust(name)),
    crl: (name) => store.crl(name),
    onChange: (listener) => store.onChange(listener),
    statuses: {
      ...statuses,
      credential: (name) => (name === GIVEN_CREDENTIAL ? statusOf(given) : statuses.credential(name)),
    },
  };
}

function statusOf({ mismatch }: GivenFiles): ReturnType<CredentialStore["statuses"]["credential"]> {
  return mismatch
    ? {
        usable: false,
        code: "private-key-mismatch",
        reason: "the private key (--key) belongs to another certificate",
      }
    : { usable: false, code: "", reason: "its private key is needed to show it (--key)" };
}
