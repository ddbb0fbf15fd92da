import type { CredentialChange, CredentialKind, CredentialReader } from "../../credentials/credential.ts";
import type { TcpTls } from "../../model/tcp.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import { trustDomainOf } from "../../x509/spiffe.ts";
import { type Snapshot, snapshotOf } from "./ads/snapshot.ts";
import { clustersOf, translateClusters } from "./clusters.ts";
import { credentialDigest } from "./credential-digest.ts";
import { upstreamSecrets } from "./secret-names.ts";
import { secretParts, translateSecrets } from "./secrets.ts";
import { httpListener } from "./listeners.ts";
import { tcpListener } from "./tcp/listener.ts";
import { clientSecret } from "./tls/acceptance.ts";
import type { TranslationContext } from "./translation-context.ts";
import type { TranslationMemory } from "./translation-memory.ts";
import { discoveredName, loadAssignments } from "./upstream/load-assignment.ts";

/** What translation knows of the credentials that the SDS secrets named are made of. */
export function factsOf(secrets: Iterable<string>, credentials: CredentialReader): CredentialFacts {
  const generations = new Map<string, string>();
  const trustDomains = new Map<string, string>();
  const lifetimes = new Map<string, number>();
  // A thousand of them are gone through at each change: each is looked up once.
  for (const secret of secrets) {
    const parts = secretParts(secret);
    if (parts === null) continue;
    if ("credential" in parts) {
      const name = parts.credential;
      const held = credentials.credential(name);
      if (held === undefined) continue;
      generations.set(`credential ${name}`, credentialDigest(held));
      const domain = held.spiffeId === undefined ? null : trustDomainOf(held.spiffeId);
      if (domain !== null) trustDomains.set(name, domain);
      const [leaf] = held.facts;
      if (leaf !== undefined) lifetimes.set(name, held.notAfter - leaf.notBefore);
      continue;
    }
    const trust = credentials.trust(parts.trust);
    if (trust !== undefined) generations.set(`trust ${parts.trust}`, credentialDigest(trust));
    const lists = parts.crl === undefined ? undefined : credentials.crl(parts.crl);
    if (lists !== undefined) generations.set(`crl ${parts.crl}`, credentialDigest(lists));
  }
  return { generations, trustDomains, lifetimes };
}

type CredentialFacts = Required<Pick<TranslationContext, "generations" | "trustDomains" | "lifetimes">>;

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
    secret: changed(snapshot.secret, renewed.secret),
    cluster: changed(snapshot.cluster, renewed.cluster),
    listener: changed(snapshot.listener, renewed.listener),
  };
}

/** The same map where nothing is other. Ten thousand are copied as a whole, not one by one. */
function changed<T>(all: ReadonlyMap<string, T>, few: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  if (few.size === 0 || few === all) return all;
  const map = new Map(all);
  for (const [name, value] of few) map.set(name, value);
  return map;
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
  return { ...snapshot, endpoints: changed(snapshot.endpoints, endpoints) };
}
