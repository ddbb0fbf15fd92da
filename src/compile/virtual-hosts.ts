import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { VirtualHost } from "../model/listener.ts";
import type { ModuleConfig } from "../resources/module.ts";
import { positionOf } from "../resources/resource.ts";
import type { CompileOptions } from "./compilation.ts";
import { contextClaims, settleClaims, type SettledHost } from "./host-claims.ts";
import type { CompiledHosts } from "./hosts.ts";
import { additionalListener, isHttpPort, type ListenerPorts, listenerPorts } from "./ports.ts";
import type { CompiledContext } from "./tls-contexts.ts";

export interface VirtualHostsInput extends CompiledHosts {
  /** Names that an Ingress has rules for, and who. */
  readonly ruled: ReadonlyMap<string, string>;
  /** Somebody named a host in a way that cannot be read. */
  readonly hasUnreadNames: boolean;
  readonly config: ModuleConfig;
  /** Cleartext goes to https where nobody says how names are served. */
  readonly redirectsCleartext: boolean;
  readonly options: CompileOptions;
}

export interface CompiledNames {
  readonly virtualHosts: VirtualHost[];
  readonly ports: ListenerPorts;
  /** The port that redirects to https whatever the name, if any. */
  readonly redirectPort: number | null;
  /** Cleartext ports of Hosts beside the http listener's, sorted. */
  readonly additionalPorts: readonly number[];
  readonly hasTls: boolean;
}

/** Which names are served and how (reference §2.3.2 and §2.6, design §5), and on which ports. */
export function compileVirtualHosts(input: VirtualHostsInput, diagnostics: Diagnostic[]): CompiledNames {
  const { contexts, taken, config, options } = input;
  const named = new Set([...taken].map((entry) => entry.slice(0, entry.lastIndexOf(" "))));
  const terminating = [...contexts.values()].filter(
    ({ resource, name }) => resource.terminates || named.has(name),
  );
  const redirectPort = agreedRedirectPort(terminating, diagnostics);
  const redirectsHttp =
    redirectPort !== null && isHttpPort(redirectPort, listenerPorts(true, config, options));
  const own = contextClaims(contexts.values(), taken, redirectsHttp, diagnostics);
  const settled = settleClaims([...input.claims, ...own], diagnostics);
  const hasTls = settled.some(({ tls }) => tls.mode !== "cleartext");
  const ports = listenerPorts(hasTls, config, options);
  const hosts = new Map(settled.map((host) => [host.domain, virtualHost(host, ports)]));
  // Once names are written down, or should be, no other is served in cleartext by accident (reference §2.3.2: action Reject).
  const isClosed = hosts.size > 0 || terminating.length > 0 || input.hasUnreadNames;
  const open = input.redirectsCleartext ? ("redirect" as const) : ("route" as const);
  if (isClosed) openRuledNames(hosts, input.ruled, open);
  if (!hosts.has("*")) {
    hosts.set("*", {
      domain: "*",
      origin: "gateway",
      tls: { mode: "cleartext" },
      cleartext: isClosed ? "reject" : open,
    });
  }
  const additional = settled.flatMap(({ cleartext }) => cleartext.ports);
  return {
    virtualHosts: [...hosts.values()].sort((a, b) => (a.domain < b.domain ? -1 : 1)),
    ports,
    redirectPort,
    additionalPorts: [...new Set(additional)]
      .filter((port) => !isHttpPort(port, ports))
      .sort((a, b) => a - b),
    hasTls,
  };
}

function virtualHost({ domain, origin, tls, cleartext }: SettledHost, ports: ListenerPorts): VirtualHost {
  const names = cleartext.ports.map((port) => (isHttpPort(port, ports) ? "http" : additionalListener(port)));
  const listeners = [...new Set(names)].sort();
  const isUsual = cleartext.action === "reject" || (listeners.length === 1 && listeners[0] === "http");
  return {
    domain,
    origin,
    tls,
    cleartext: cleartext.action,
    ...(isUsual ? {} : { cleartextListeners: listeners }),
  };
}

/** A name that an Ingress routes and nobody serves over TLS, by itself or by a wildcard, gets what all get where no name is written. */
function openRuledNames(
  hosts: Map<string, VirtualHost>,
  ruled: ReadonlyMap<string, string>,
  cleartext: VirtualHost["cleartext"],
): void {
  const claimed = [...hosts.keys()];
  for (const [domain, origin] of ruled) {
    const isCovered = claimed.some(
      (claim) =>
        claim === "*" || claim === domain || (claim.startsWith("*.") && domain.endsWith(claim.slice(1))),
    );
    if (!isCovered) hosts.set(domain, { domain, origin, tls: { mode: "cleartext" }, cleartext });
  }
}

function agreedRedirectPort(contexts: readonly CompiledContext[], diagnostics: Diagnostic[]): number | null {
  const asking = contexts.filter(({ resource }) => resource.spec.redirect_cleartext_from !== undefined);
  const ports = new Set(asking.map(({ resource }) => resource.spec.redirect_cleartext_from as number));
  if (ports.size <= 1) return [...ports][0] ?? null;
  for (const { resource, subject } of asking) {
    const message = `redirect_cleartext_from differs between TLSContexts: ${[...ports].sort((a, b) => a - b).join(", ")}; none is followed`;
    const source = positionOf(resource, "redirect_cleartext_from");
    diagnostics.push(diagnose("redirect-port-conflict", { subject, source, message }));
  }
  return null;
}
