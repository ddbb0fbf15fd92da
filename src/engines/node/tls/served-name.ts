import type { VirtualHost } from "../../../model/listener.ts";
import type { VirtualHostTable } from "../virtual-hosts.ts";
import type { TerminateTls } from "./policy.ts";

/** The host that answers a handshake, or why there is none. */
export type ServedName =
  | { readonly host: VirtualHost; readonly tls: TerminateTls }
  | { readonly failure: "sni_unknown" | "credential_unavailable" };

/**
 * Whose handshake it is by its server name: never another host's, and without a name only that of `*` (design §4.1).
 * Whether the host's certificate and trust bundle are there is the caller's to see.
 */
export function findServedName(hosts: VirtualHostTable, serverName: string | null): ServedName {
  const host = hosts.find(serverName ?? "");
  if (host === undefined || (serverName === null && host.domain !== "*")) return { failure: "sni_unknown" };
  if (host.tls.mode === "cleartext") return { failure: "sni_unknown" };
  return host.tls.mode === "terminate" ? { host, tls: host.tls } : { failure: "credential_unavailable" };
}
