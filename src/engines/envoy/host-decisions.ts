import type { FailureReason } from "../../diagnostics/failure.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import { holdsTo } from "../../model/client-check.ts";
import type { HttpSettings } from "../../model/http.ts";
import type { Listener, VirtualHost } from "../../model/listener.ts";
import type { ClientAuth } from "../../model/tls.ts";
import type { RouteScope } from "./route-scopes.ts";

/** Whether requests for a host come to its routes at all. */
export type HostDecision =
  | { readonly kind: "route" }
  | { readonly kind: "redirect" }
  | { readonly kind: "refuse"; readonly reason: FailureReason; readonly cause: string };

export interface HostDecisions {
  /** Of requests as they come. */
  readonly plain: HostDecision;
  /** Of cleartext requests that a trusted proxy says it took over TLS (X-Forwarded-Proto); null: no proxy is trusted. */
  readonly forwarded: HostDecision | null;
}

/** What a domain, as virtual hosts write it, gets in a scope. */
export function decide(domain: string, scope: RouteScope, model: GatewayModel): HostDecisions {
  const host = findHost(model.virtualHosts, domain);
  if (scope.clients !== null) return { plain: overTls(host, scope.clients), forwarded: null };
  return {
    plain: inCleartext(host, scope.listener),
    forwarded: trustsForwarded(model.http) ? forwardedOverTls(host) : null,
  };
}

const ROUTE: HostDecision = { kind: "route" };

function refuse(reason: FailureReason, cause: string): HostDecision {
  return { kind: "refuse", reason, cause };
}

/** The handshake was held to `held`, which must be at least what the host asks for (RFC 9110 §15.5.20). */
function overTls(host: VirtualHost | undefined, held: ClientAuth): HostDecision {
  if (host === undefined) return refuse("misdirected_request", "host is not served over TLS");
  const { tls } = host;
  if (tls.mode !== "terminate") return refuse("misdirected_request", `host's TLS is ${tls.mode}`);
  return holdsTo(held, tls.clients)
    ? ROUTE
    : refuse("misdirected_request", "the handshake was not held to this host's client check");
}

/** A name's policy holds on its own listeners. */
function inCleartext(host: VirtualHost | undefined, listener: Listener): HostDecision {
  if (listener.action === "redirect") return { kind: "redirect" };
  const isOwn = host !== undefined && (host.cleartextListeners ?? HTTP).includes(listener.name);
  if (!isOwn || host.cleartext === "reject")
    return refuse("cleartext_refused", "host is served over TLS only");
  return { kind: host.cleartext };
}

const HTTP: readonly string[] = ["http"];

/** The proxy is believed about the scheme, but it cannot hand over a client certificate. */
function forwardedOverTls(host: VirtualHost | undefined): HostDecision {
  if (host === undefined) return refuse("no_route", "unknown host");
  const { tls } = host;
  // Where names are written down, one that nobody wrote is served neither way.
  if (tls.mode === "cleartext" && host.origin === "gateway" && host.cleartext === "reject")
    return refuse("no_route", "unknown host");
  if (tls.mode === "refuse") return refuse("misdirected_request", tls.code);
  return tls.mode === "terminate" && tls.clients.mode !== "none"
    ? refuse("misdirected_request", "client certificates are checked on this gateway only")
    : ROUTE;
}

/** X-Forwarded-Proto is believed behind trusted proxies only. */
function trustsForwarded(settings: HttpSettings): boolean {
  return !settings.useRemoteAddress || settings.xffTrustedHops > 0;
}

/** The virtual host of that very domain; else the one that covers it: the longest `*.suffix`, then `*`. */
function findHost(hosts: readonly VirtualHost[], domain: string): VirtualHost | undefined {
  const byDomain = byDomainOf(hosts);
  const own = byDomain.get(domain);
  if (own !== undefined) return own;
  for (let dot = domain.indexOf(".", 1); dot !== -1; dot = domain.indexOf(".", dot + 1)) {
    const covering = byDomain.get(`*${domain.slice(dot)}`);
    if (covering !== undefined) return covering;
  }
  return byDomain.get("*");
}

function byDomainOf(hosts: readonly VirtualHost[]): ReadonlyMap<string, VirtualHost> {
  let byDomain = BY_DOMAIN.get(hosts);
  if (byDomain === undefined) {
    byDomain = new Map(hosts.map((host) => [host.domain, host]));
    BY_DOMAIN.set(hosts, byDomain);
  }
  return byDomain;
}

const BY_DOMAIN = new WeakMap<readonly VirtualHost[], ReadonlyMap<string, VirtualHost>>();
