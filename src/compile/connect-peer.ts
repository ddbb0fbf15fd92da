import { isIP } from "node:net";
import type { PeerRules } from "../model/tls.ts";
import type { ResolverChoice } from "./resolvers.ts";
import type { CompiledContext } from "./tls-contexts.ts";

/** Whom a Mapping with a ConsulResolver and a Connect identity speaks to, in Connect's words. */
export interface ConnectPeer {
  /** Sidecars and mesh gateways choose by it. */
  readonly sni: string;
  readonly rules: PeerRules;
}

/**
 * The peer that Consul Connect promises for a service: its SNI, and its SPIFFE ID, which the certificate of a sidecar or of a
 * Connect-native service must have (instead of a host's name), unless `verify` says otherwise. Null: it is no matter of Connect.
 */
export function connectPeer(
  context: CompiledContext,
  resolver: ResolverChoice | undefined,
  host: string,
): ConnectPeer | null {
  const { trustDomain, rules } = context;
  // Consul is not asked about an address, and so has no name for who is there.
  if (resolver?.kind !== "consul" || trustDomain === undefined || isIP(host) !== 0) return null;
  if (context.resource.spec.identity?.consul === undefined) return null;
  // A sidecar is registered as a service of its own, and presents the certificate of the service behind it.
  const service = host.replace(/-sidecar-proxy$/, "");
  const datacenter = resolver.datacenter.toLowerCase();
  return {
    sni: `${service}.default.${datacenter}.internal.${trustDomain}`,
    rules: {
      ...rules,
      identities: rules?.identities ?? {
        spiffeIds: [`spiffe://${trustDomain}/ns/default/dc/${datacenter}/svc/${service}`],
      },
    },
  };
}
