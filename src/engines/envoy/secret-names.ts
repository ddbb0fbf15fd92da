import type { GatewayModel } from "../../model/gateway.ts";
import type { TcpTls } from "../../model/tcp.ts";
import type { UpstreamTls } from "../../model/tls.ts";
import { clustersOf } from "./clusters.ts";
import { secretName } from "./secrets.ts";

/** The SDS secrets that the model's clusters, hosts and TCP chains name. */
export function secretNames(model: GatewayModel): Set<string> {
  const names = new Set<string>();
  for (const { tls } of clustersOf(model)) addUpstream(tls, names);
  for (const { tls } of model.virtualHosts) addServer(tls, names);
  for (const { chains } of model.tcpListeners ?? []) for (const { tls } of chains) addServer(tls, names);
  return names;
}

function addUpstream(tls: UpstreamTls, names: Set<string>): void {
  if (tls.mode === "cleartext") return;
  if (tls.credential !== undefined) names.add(secretName("credential", tls.credential));
  if (tls.verification.mode !== "none") names.add(secretName("trust", tls.verification.trust));
}

function addServer(tls: TcpTls, names: Set<string>): void {
  if (tls.mode !== "terminate") return;
  names.add(secretName("credential", tls.credential));
  if (tls.clients.mode !== "none") names.add(secretName("trust", tls.clients.trust));
}
