import { endpointsName } from "../endpoints/discovered.ts";
import type { Endpoint } from "../endpoints/endpoint.ts";
import type { Cluster } from "../model/cluster.ts";
import { isIP } from "node:net";
import { parseCertificate } from "../x509/certificate.ts";
import { parsed, pinOf } from "../x509/parsed-certificate.ts";
import { peerExpectation, revocationOf } from "../credentials/peer-expectation.ts";
import { addressText } from "../model/address.ts";
import type { PeerExpectation } from "../x509/verify.ts";
import { changesFor, type Situation } from "./advice.ts";
import { probeCleartext } from "./cleartext.ts";
import type { ProbeContext } from "./context.ts";
import type { ProbeFailure, StepName } from "./failure.ts";
import { explainHandshake, type HandshakeParts } from "./handshake.ts";
import { enginesDiffer } from "./notes.ts";
import { type Equipment, equipmentOf, offerOf, type OriginateTls } from "./offer.ts";
import type { PeerReport, Placed, Step } from "./report.ts";
import { verdictOf } from "./verdict.ts";

export interface UpstreamTarget {
  readonly cluster: Cluster;
  /** Who names the service, by the model's names: Mappings, TCPMappings, AuthServices. */
  readonly users: readonly string[];
}

/** Makes the handshake that the gateway would make with a cluster, and explains it. Never throws for what a peer does. */
export async function probeUpstream(
  { cluster, users }: UpstreamTarget,
  context: ProbeContext,
): Promise<PeerReport> {
  const { service, tls } = cluster;
  const equipment = tls.mode === "cleartext" ? null : equipmentOf(tls, context.credentials);
  const way: Way = { steps: [], failures: [], addresses: [], address: null, parts: null };
  if (equipment !== null) prepare(way, tls as OriginateTls, equipment, context);
  // The gateway answers 503 rather than dial without what a route names (design §4.1).
  if (way.failures.length === 0) await resolve(way, cluster, context);
  if (way.failures.length === 0) await connect(way, cluster, equipment, context);
  const { parts } = way;
  const situation = situationOf(cluster, users, parts, context);
  const notes =
    equipment === null || parts === null ? [] : enginesDiffer(tls as OriginateTls, equipment, parts);
  return {
    side: "upstream",
    name: cluster.name,
    host: service.host,
    port: service.port,
    addresses: way.addresses.map(endpointText),
    address: way.address === null ? null : endpointText(way.address),
    decidedBy: decidedBy(situation),
    steps: way.steps,
    offered: parts?.offered ?? null,
    negotiated: parts?.negotiated ?? null,
    asked: parts?.asked ?? null,
    certificates: parts?.certificates ?? [],
    checks: parts?.checks ?? [],
    client: null,
    presented: parts?.presented ?? [],
    accepted: parts?.accepted ?? null,
    verdict: verdictOf(
      way.failures,
      ({ reason }) => changesFor(reason, situation),
      notes,
      goodText(cluster, parts),
    ),
  };
}

/** What has come of it so far. */
interface Way {
  readonly steps: Step[];
  readonly failures: ProbeFailure[];
  addresses: readonly Endpoint[];
  address: Endpoint | null;
  parts: HandshakeParts | null;
}

function done(way: Way, step: StepName, says: string, details: readonly string[] = []): void {
  way.steps.push({ step, status: "ok", says, details });
}

function fail(way: Way, failure: ProbeFailure): void {
  way.failures.push(failure);
  way.steps.push({ step: failure.step, status: "failed", says: failure.says, details: [] });
}

function prepare(
  way: Way,
  tls: OriginateTls,
  { credential, missing }: Equipment,
  context: ProbeContext,
): void {
  for (const name of new Set(missing)) {
    const status =
      name === tls.credential
        ? context.credentials.statuses.credential(name)
        : context.credentials.statuses.trust(name);
    const reason =
      status !== undefined && !status.usable
        ? status.reason
        : (context.issuerTrouble(name) ?? "it is not there");
    const isMismatch = status !== undefined && !status.usable && status.code === "private-key-mismatch";
    fail(way, {
      reason: isMismatch ? "key_mismatch" : "credential_unavailable",
      step: "credential",
      says: `${name}: ${reason}`,
    });
  }
  if (missing.length > 0) return;
  const { verification } = tls;
  const trusted =
    verification.mode === "none" ? "no CA: the peer is not verified" : `the CAs of ${verification.trust}`;
  const own =
    credential === undefined
      ? "no client certificate"
      : `${credential.facts[0]?.subject || credential.name} of ${credential.name}`;
  done(way, "credential", `${own}; ${trusted}`);
}

async function resolve(way: Way, cluster: Cluster, { endpoints, discovered }: ProbeContext): Promise<void> {
  const { host, port } = cluster.service;
  const name = endpointsName(cluster);
  if (name !== null) {
    const { endpoints: found, missing } = discovered.find(name);
    way.addresses = found;
    if (missing !== null) fail(way, { reason: "dns_failure", step: "dns", says: `${name}: ${missing}` });
    else done(way, "dns", `${name} has ${found.map(endpointText).join(", ")}`);
    return;
  }
  try {
    way.addresses = await endpoints.resolve(host, port, cluster.dns);
  } catch (error) {
    fail(way, { reason: "dns_failure", step: "dns", says: (error as Error).message });
    return;
  }
  const all = way.addresses.map(({ address }) => address).join(", ");
  done(way, "dns", isIP(host) === 0 ? `${host} is ${all}` : `${host} is an address`);
}

/** The first address that takes connections, as the gateway goes on to the next one. */
async function connect(
  way: Way,
  cluster: Cluster,
  equipment: Equipment | null,
  context: ProbeContext,
): Promise<void> {
  const { service, tls, connectTimeoutMs } = cluster;
  const timeoutMs = context.timeoutMs ?? connectTimeoutMs;
  let unconnected: ProbeFailure | null = null;
  for (const endpoint of way.addresses) {
    const found =
      tls.mode === "cleartext" || equipment === null
        ? await probeCleartext(endpoint, isIP(service.host) === 0 ? service.host : null, timeoutMs)
        : await explainHandshake(
            {
              endpoint,
              offer: offerOf(cluster, tls, equipment),
              expected: expected(tls, equipment, service.host, context.credentials),
              verified: tls.verification.mode !== "none",
              credential: equipment.credential,
              host: service.host,
              timeoutMs,
            },
            context,
          );
    if ("unconnected" in found) {
      unconnected = found.unconnected;
      // The gateway goes on to the next one as well.
      const { step, says } = unconnected;
      if (endpoint !== way.addresses.at(-1)) way.steps.push({ step, status: "warning", says, details: [] });
      continue;
    }
    way.address = endpoint;
    way.steps.push(...found.steps);
    way.failures.push(...found.failures);
    if (found.outcome !== undefined) way.parts = found;
    return;
  }
  fail(way, unconnected ?? { reason: "dns_failure", step: "dns", says: `no address for ${service.host}` });
}

function expected(
  { verification }: OriginateTls,
  { credential, trust }: Equipment,
  host: string,
  credentials: ProbeContext["credentials"],
): PeerExpectation {
  const isNone = verification.mode === "none";
  const rules = isNone ? undefined : verification.rules;
  return peerExpectation(
    { usage: "server", name: isNone ? host : verification.name },
    { trust, crl: revocationOf(rules, credentials), own: credential },
    rules,
  );
}

function situationOf(
  cluster: Cluster,
  users: readonly string[],
  parts: HandshakeParts | null,
  { place }: ProbeContext,
): Situation {
  const { service, tls } = cluster;
  const [der] = parts?.outcome.transcript.serverChain ?? [];
  const leaf = der === undefined ? null : parseCertificate(der);
  const read = leaf === null ? null : parsed(leaf);
  const isTls = tls.mode !== "cleartext";
  return {
    users,
    context: isTls && tls.context !== undefined ? `tlscontext/${tls.context}` : null,
    credential: isTls ? (tls.credential ?? null) : null,
    trust: isTls && tls.verification.mode !== "none" ? tls.verification.trust : null,
    host: service.host,
    isDiscovered: endpointsName(cluster) !== null,
    isClient: false,
    own: parts?.presented[0] ?? null,
    rules: (isTls && tls.verification.mode !== "none" ? tls.verification.rules : null) ?? null,
    parameters: isTls ? tls.parameters : null,
    leaf: parts?.certificates[0] ?? null,
    top: parts?.certificates.at(-1) ?? null,
    pin: read === null || typeof read === "string" ? null : pinOf(read),
    authorities: parts?.asked?.authorities ?? [],
    takes: parts?.takes ?? null,
    place,
  };
}

function decidedBy({ users, context, credential, trust, place }: Situation): Placed[] {
  const names = [...users, context, credential, trust].filter((name) => name !== null);
  return [...new Set(names)].map((name) => ({ name, place: place(name, "") }));
}

function goodText({ tls }: Cluster, parts: HandshakeParts | null): string {
  if (tls.mode === "cleartext")
    return "the service takes connections, and cleartext is what it is spoken to in";
  const verified =
    tls.verification.mode === "none" ? ", and nobody has verified the peer: no CA is given" : "";
  return `the handshake succeeds${parts?.accepted === null ? ", as far as TLS 1.3 lets one tell" : ""}${verified}`;
}

function endpointText({ address, port }: Endpoint): string {
  return addressText(address, port);
}
