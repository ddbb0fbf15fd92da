import type { FailureReason } from "../../diagnostics/failure.ts";
import type { HttpSettings } from "../../model/http.ts";
import type { VirtualHost } from "../../model/listener.ts";
import { holdsTo } from "../../model/client-check.ts";
import type { Route } from "../../model/route.ts";
import type { ServerTls } from "../../model/tls.ts";
import { clientAddress } from "./address-filter.ts";
import { FIELD } from "./http1/fields.ts";
import { trustsForwarded, wholeValue } from "./http1/forward.ts";
import { normalisePath } from "./http1/path.ts";
import type { RequestHead } from "./http1/request-head.ts";
import type { ConnectionFacts } from "./listener.ts";
import type { Plan } from "./plan.ts";

export type Admission =
  | { readonly kind: "refuse"; readonly reason: FailureReason; readonly cause: string }
  | { readonly kind: "redirect"; readonly location: string }
  /** The gateway speaks for itself. */
  | { readonly kind: "probe"; readonly status: 200 | 503 }
  | {
      readonly kind: "route";
      readonly route: Route;
      /** In the form that is matched and forwarded, query included. */
      readonly path: string;
    };

/**
 * Decides whether this connection may ask for this host at all, and which route takes the request. The checks stand in
 * the order in which each may rely on the ones before.
 */
export function admit(
  head: RequestHead,
  accepted: ConnectionFacts,
  plan: Plan,
  ports: { readonly httpsPort: number | null; readonly draining: boolean },
): Admission {
  const { settings } = plan;
  // 0. The address: whoever may not come in learns nothing else.
  const { remoteAddress: peer } = accepted;
  if (plan.addresses !== null) {
    const client = clientAddress(wholeValue(head.fields, FIELD.forwardedFor), peer, settings);
    if (!plan.addresses.admits(peer, client)) return refuse("address_refused", `${client} by way of ${peer}`);
  }
  if (settings.underscores === "reject" && hasUnderscore(head))
    return refuse("bad_request", "_ in a header name");
  // A probe comes by address, without a host's name or its TLS, and learns nothing but this.
  const normalised = normalisePath(head.target, settings);
  const probed = probe(normalised.path ?? "", settings.probes ?? PROBES, ports.draining);
  if (probed !== null) return probed;
  // It says that TLS was spoken with somebody, and it was not with us (RFC 9110 §7.4).
  if (!accepted.secure && head.targetAsSent !== head.target && /^https:/i.test(head.targetAsSent))
    return refuse("bad_request", "https target over a cleartext connection");
  const hostname = nameOf(head);

  // 1. The host, against what the handshake was held to.
  const host = plan.hosts.find(hostname);
  const refusal = accepted.secure
    ? mismatch(host?.tls, accepted)
    : cleartextRefusal(head, accepted, plan, host, ports.httpsPort, hostname);
  if (refusal !== null) return refusal;

  // 2. The path, in the one form that is matched and forwarded.
  if (head.target === "*") return refuse("no_route", "OPTIONS *");
  if (normalised.error !== undefined) return refuse("bad_request", normalised.error);
  const { path } = normalised;
  const queryAt = path.indexOf("?");
  const pathname = queryAt === -1 ? path : path.slice(0, queryAt);

  // 3. The route.
  const route = plan.routes.find(pathname, {
    method: head.method,
    host: matchedHost(head, settings),
    fields: head.fields,
    query: queryAt === -1 ? "" : path.slice(queryAt),
  });
  return route === null ? refuse("no_route", `no Mapping for ${hostname}`) : { kind: "route", route, path };
}

/** Of the host, without the final dot. */
export function nameOf({ hostname }: RequestHead): string {
  return hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
}

/** What routes compare: without the final dot as well, or what a Mapping closes would be open under the other form. */
export function matchedHost(head: RequestHead, settings: HttpSettings): string {
  const name = nameOf(head);
  return settings.stripMatchingHostPort ? name : name + head.host.slice(head.hostname.length);
}

/** As 1.14's always-present routes (reference §2.5.7), which answered from the admin port. */
const PROBES = { ready: "/ambassador/v0/check_ready", alive: "/ambassador/v0/check_alive" } as const;

function probe(
  path: string,
  { ready, alive }: { readonly ready: string | null; readonly alive: string | null },
  draining: boolean,
): Admission | null {
  if (ready !== null && path.startsWith(ready)) return { kind: "probe", status: draining ? 503 : 200 };
  return alive !== null && path.startsWith(alive) ? { kind: "probe", status: 200 } : null;
}

function hasUnderscore({ fields }: RequestHead): boolean {
  for (let index = 0; index < fields.count; index++) {
    if (fields.id[index] === FIELD.other && fields.name(index).includes("_")) return true;
  }
  return false;
}

/**
 * The client-certificate decision belongs to the host that is routed: a handshake made for another one must have been
 * held to at least the same check, else 421 (RFC 9110 §15.5.20), upon which a client opens a connection of its own.
 */
function mismatch(tls: ServerTls | undefined, accepted: ConnectionFacts): Admission | null {
  if (tls === undefined) return refuse("misdirected_request", "host is not served over TLS");
  if (tls.mode !== "terminate") return refuse("misdirected_request", `host's TLS is ${tls.mode}`);
  if (holdsTo(accepted.clients, tls.clients)) return null;
  return refuse(
    "misdirected_request",
    `handshake for ${accepted.serverName ?? "no name"} was not held to this host's client check`,
  );
}

/** A name's policy holds on its own listeners. */
function cleartextAction(
  host: ReturnType<Plan["hosts"]["find"]>,
  { listener }: ConnectionFacts,
): VirtualHost["cleartext"] {
  if (host === undefined) return "reject";
  return (host.cleartextListeners ?? HTTP).includes(listener.name) ? host.cleartext : "reject";
}

const HTTP: readonly string[] = ["http"];

function cleartextRefusal(
  head: RequestHead,
  accepted: ConnectionFacts,
  plan: Plan,
  host: ReturnType<Plan["hosts"]["find"]>,
  httpsPort: number | null,
  hostname: string,
): Admission | null {
  const { settings } = plan;
  if (trustsForwarded(settings) && wholeValue(head.fields, FIELD.forwardedProto).toLowerCase() === "https") {
    // A proxy in front that ended TLS is believed about the scheme, but it cannot hand over a client certificate.
    if (host === undefined) return refuse("no_route", "unknown host");
    // Where names are written down, one that nobody wrote is served neither way.
    if (host.tls.mode === "cleartext" && host.origin === "gateway" && host.cleartext === "reject")
      return refuse("no_route", "unknown host");
    if (host.tls.mode === "refuse") return refuse("misdirected_request", host.tls.code);
    const needsCertificate = host.tls.mode === "terminate" && host.tls.clients.mode !== "none";
    return needsCertificate
      ? refuse("misdirected_request", "client certificates are checked on this gateway only")
      : null;
  }
  const action = accepted.listener.action === "redirect" ? "redirect" : cleartextAction(host, accepted);
  if (action === "route") return null;
  if (action === "reject") return refuse("cleartext_refused", "host is served over TLS only");
  // No URL says `*`.
  if (head.target === "*") return refuse("no_route", "OPTIONS *");
  const port = head.host === head.hostname || httpsPort === null || httpsPort === 443 ? "" : `:${httpsPort}`;
  return { kind: "redirect", location: `https://${hostname}${port}${head.target}` };
}

function refuse(reason: FailureReason, cause: string): Admission {
  return { kind: "refuse", reason, cause };
}
