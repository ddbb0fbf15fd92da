import type { Cluster } from "../../model/cluster.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import type { TcpTls } from "../../model/tcp.ts";
import type { UpstreamTls } from "../../model/tls.ts";
import { clustersOf } from "./clusters.ts";
import { credentialSecret, trustSecret } from "./secrets.ts";

/** The SDS secrets that the model's clusters, hosts and TCP chains name. */
export function secretNames(model: GatewayModel): Set<string> {
  const names = new Set(namedBy(clustersOf(model)));
  for (const { tls } of model.virtualHosts) addServer(tls, names);
  for (const { chains } of model.tcpListeners ?? []) for (const { tls } of chains) addServer(tls, names);
  return names;
}

function namedBy(clusters: readonly Cluster[]): ReadonlySet<string> {
  let names = NAMED.get(clusters);
  if (names === undefined) {
    names = new Set(clusters.flatMap(({ tls }) => upstreamSecrets(tls)));
    NAMED.set(clusters, names);
  }
  return names;
}

/** Most changes leave the list of clusters as it is. */
const NAMED = new WeakMap<readonly Cluster[], ReadonlySet<string>>();

/** Those of one cluster. */
export function upstreamSecrets(tls: UpstreamTls): readonly string[] {
  if (tls.mode === "cleartext") return [];
  const known = NAMES.get(tls);
  if (known !== undefined) return known;
  const { credential, verification } = tls;
  const names = [
    ...(credential === undefined ? [] : [credentialSecret(credential)]),
    ...(verification.mode === "none" ? [] : [trustSecret(verification.trust, verification.rules)]),
  ];
  NAMES.set(tls, names);
  return names;
}

/** Ten thousand clusters are gone through at each change. */
const NAMES = new WeakMap<UpstreamTls, readonly string[]>();

function addServer(tls: TcpTls, names: Set<string>): void {
  if (tls.mode !== "terminate") return;
  names.add(credentialSecret(tls.credential));
  const { clients } = tls;
  if (clients.mode !== "none") names.add(trustSecret(clients.trust, clients.rules));
}
