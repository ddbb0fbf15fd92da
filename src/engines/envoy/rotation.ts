import type { CredentialChange, CredentialKind, CredentialReader } from "../../credentials/credential.ts";
import type { TcpTls } from "../../model/tcp.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import { trustDomainOf } from "../../x509/spiffe.ts";
import { type Snapshot, snapshotOf } from "./ads/snapshot.ts";
import { clustersOf, translateClusters } from "./clusters.ts";
import { upstreamSecrets } from "./secret-names.ts";
import { type SecretPart, secretParts, translateSecrets } from "./secrets.ts";
import { httpListener } from "./listeners.ts";
import { tcpListener } from "./tcp/listener.ts";
import { clientSecret } from "./tls/acceptance.ts";
import type { TranslationContext } from "./translation-context.ts";
import type { TranslationMemory } from "./translation-memory.ts";
import { discoveredName, loadAssignments } from "./upstream/load-assignment.ts";

/** By `credential NAME`, `trust NAME` or `crl NAME`, of what the SDS secrets named are made of. */
export function generationsOf(secrets: Iterable<string>, credentials: CredentialReader): Map<string, number> {
  const generations = new Map<string, number>();
  for (const secret of secrets) {
    for (const [kind, name] of Object.entries(secretParts(secret) ?? {}) as [SecretPart, string][]) {
      const held = credentials[kind](name);
      if (held !== undefined) generations.set(`${kind} ${name}`, held.generation);
    }
  }
  return generations;
}

/** The secrets among these that are made of what has changed in the store. */
export function secretsWith(
  secrets: Iterable<string>,
  { kind, name }: Pick<CredentialChange, "kind" | "name">,
): string[] {
  return [...secrets].filter((secret) => {
    const parts: Partial<Record<CredentialKind, string>> | null = secretParts(secret);
    return parts?.[kind] === name;
  });
}

/** Of the SDS secrets named: who has a SPIFFE ID meets peers of its own trust domain by it. */
export function trustDomainsOf(
  secrets: Iterable<string>,
  credentials: CredentialReader,
): Map<string, string> {
  const domains = new Map<string, string>();
  for (const secret of secrets) {
    if (!secret.startsWith("credential:")) continue;
    const name = secret.slice("credential:".length);
    const { spiffeId } = credentials.credential(name) ?? {};
    const domain = spiffeId === undefined ? null : trustDomainOf(spiffeId);
    if (domain !== null) domains.set(name, domain);
  }
  return domains;
}

/** Of the credentials among the SDS secrets named: milliseconds from the leaf's beginning to the earliest end in its chain. */
export function lifetimesOf(secrets: Iterable<string>, credentials: CredentialReader): Map<string, number> {
  const lifetimes = new Map<string, number>();
  for (const secret of secrets) {
    if (!secret.startsWith("credential:")) continue;
    const name = secret.slice("credential:".length);
    const credential = credentials.credential(name);
    const [leaf] = credential?.facts ?? [];
    if (credential !== undefined && leaf !== undefined)
      lifetimes.set(name, credential.notAfter - leaf.notBefore);
  }
  return lifetimes;
}

/** The snapshot with the secrets of these names as the store has them now, and what uses them in a new generation: clusters, and filter chains. */
export function withRotated(
  snapshot: Snapshot,
  rotated: ReadonlySet<string>,
  model: GatewayModel,
  context: TranslationContext,
  credentials: CredentialReader,
  memory: TranslationMemory,
): Snapshot {
  const uses = ({ tls }: Cluster): boolean => upstreamSecrets(tls).some((secret) => rotated.has(secret));
  const clusters = model.clusters.filter(uses);
  const names = new Set(clusters.map(({ name }) => name));
  const users: GatewayModel = {
    ...model,
    clusters,
    outside: (model.outside ?? []).filter(({ cluster }) => uses(cluster)),
  };
  const checks = ({ tls }: { readonly tls: TcpTls }): boolean => rotated.has(clientSecret(tls) ?? "");
  const ports = (model.tcpListeners ?? []).filter(({ chains }) =>
    chains.some(
      (chain) =>
        checks(chain) ||
        chain.destinations.some(({ action }) => action.kind === "forward" && names.has(action.cluster)),
    ),
  );
  const secure = model.virtualHosts.some(checks)
    ? model.listeners.filter(({ transport }) => transport === "tls")
    : [];
  const renewed = snapshotOf(
    [
      ...translateSecrets(rotated, credentials),
      ...translateClusters(users, context, memory),
      ...ports.map((listener) => tcpListener(listener, model, context)),
      ...secure.map((listener) => httpListener(listener, model, context)),
    ],
    snapshot,
  );
  return {
    ...snapshot,
    secret: new Map([...snapshot.secret, ...renewed.secret]),
    cluster: new Map([...snapshot.cluster, ...renewed.cluster]),
    listener: new Map([...snapshot.listener, ...renewed.listener]),
  };
}

/** The snapshot with the addresses of the clusters of these names (in the endpoint store) as they are known now. */
export function withMoved(
  snapshot: Snapshot,
  moved: ReadonlySet<string>,
  model: GatewayModel,
  context: TranslationContext,
  memory?: TranslationMemory,
): Snapshot {
  const clusters = clustersOf(model).filter((cluster) => moved.has(discoveredName(cluster, context) ?? ""));
  const { endpoints } = snapshotOf(loadAssignments(clusters, context, memory), snapshot);
  return { ...snapshot, endpoints: new Map([...snapshot.endpoints, ...endpoints]) };
}
