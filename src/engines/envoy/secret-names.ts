import type { GatewayModel } from "../../model/gateway.ts";
import type { TcpTls } from "../../model/tcp.ts";
import type { UpstreamTls } from "../../model/tls.ts";
import { clustersOf } from "./clusters.ts";
import { credentialSecret, trustSecret } from "./secrets.ts";

/** The SDS secrets that the model's clusters, hosts and TCP chains name. */
export function secretNames(model: GatewayModel): Set<string> {
  const names = new Set<string>();
  for (const { tls } of clustersOf(model)) addUpstream(tls, names);
  for (const { tls } of model.virtualHosts) addServer(tls, names);
  for (const { chains } of model.tcpListeners ?? []) for (const { tls } of chains) addServer(tls, names);
  return names;
}

function addUpstream(tls: UpstreamTls, names: Set<string>): void {
  for (const name of upstreamSecrets(tls)) names.add(name);
}

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
