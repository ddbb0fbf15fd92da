import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { VirtualHost } from "../model/listener.ts";
import type { ClientAuth, ServerTls } from "../model/tls.ts";
import type { UnservedHost } from "../resources/envelope.ts";
import type { ModuleResource } from "../resources/module.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { CompileOptions } from "./compilation.ts";
import type { CompiledContext } from "./tls-contexts.ts";

export interface VirtualHostsInput {
  readonly contexts: ReadonlyMap<string, CompiledContext>;
  readonly unserved: readonly UnservedHost[];
  readonly terminatingModule: ModuleResource | null;
  readonly options: CompileOptions;
}

/** Which names are served and how (reference §2.3.2, design §5), and the port that redirects to them, if any. */
export function compileVirtualHosts(
  { contexts, unserved, terminatingModule, options }: VirtualHostsInput,
  diagnostics: Diagnostic[],
): { virtualHosts: VirtualHost[]; redirectPort: number | null } {
  const terminating = [...contexts.values()].filter(({ resource }) => resource.terminates);
  const redirectPort = agreedRedirectPort(terminating, diagnostics);
  const claims = new Map<string, CompiledContext[]>();
  for (const context of terminating) {
    for (const host of new Set(context.resource.spec.hosts)) {
      const domain = host.toLowerCase().replace(/\.$/, "");
      if (!DOMAIN.test(domain)) {
        const message = `${JSON.stringify(host)} is neither a host name, nor \`*.name\`, nor \`*\``;
        const source = positionOf(context.resource, "hosts");
        diagnostics.push(
          diagnose("field-invalid", {
            subject: subjectOf(context.resource),
            source,
            message,
            effect: "field-ignored",
          }),
        );
        continue;
      }
      claims.set(domain, [...(claims.get(domain) ?? []), context]);
    }
  }
  const hosts = new Map<string, VirtualHost>();
  const isHttp = redirectPort === HTTP_LISTENER_PORT || redirectPort === options.httpPort;
  const cleartext = isHttp ? ("redirect" as const) : ("reject" as const);
  for (const [domain, claimants] of claims) {
    const [context] = claimants as [CompiledContext];
    const { resource } = context;
    let tls = serverTls(context);
    if (claimants.length > 1) {
      tls = { mode: "refuse", code: "host-claimed-twice" };
      for (const claimant of claimants) {
        const message = `host ${domain} is claimed by the TLSContexts ${claimants.map(({ name }) => name).join(", ")}`;
        const source = positionOf(claimant.resource, "hosts");
        diagnostics.push(
          diagnose("host-claimed-twice", { subject: subjectOf(claimant.resource), source, message }),
        );
      }
    }
    const redirects = resource.spec.redirect_cleartext_from !== undefined ? cleartext : ("reject" as const);
    hosts.set(domain, {
      domain,
      origin: `tlscontext/${resource.namespace}/${resource.name}`,
      tls,
      cleartext: redirects,
    });
  }
  const refuse = (domain: string, origin: string): void => {
    hosts.set(domain, {
      domain,
      origin,
      tls: { mode: "refuse", code: "kind-not-supported" },
      cleartext: "reject",
    });
  };
  for (const host of unserved) {
    // A name that cannot be read could be any.
    const domain = DOMAIN.test(host.spec.hostname) ? host.spec.hostname : "*";
    refuse(
      domain,
      `${host.raw.fields.has("spec.config") ? "module" : "host"}/${host.namespace}/${host.name}`,
    );
  }
  if (terminatingModule !== null && !hosts.has("*"))
    refuse("*", `module/${terminatingModule.namespace}/${terminatingModule.name}`);
  if (!hosts.has("*")) {
    // Once a name is served over TLS, or should be, no name is served in cleartext by accident (reference §2.3.2: action Reject).
    const closed = hosts.size > 0 || terminating.length > 0;
    hosts.set("*", {
      domain: "*",
      origin: "gateway",
      tls: { mode: "cleartext" },
      cleartext: closed ? "reject" : "route",
    });
  }
  return { virtualHosts: [...hosts.values()].sort((a, b) => (a.domain < b.domain ? -1 : 1)), redirectPort };
}

/** In `redirect_cleartext_from` 8080 means the http listener, whatever its port (design §9). */
export const HTTP_LISTENER_PORT = 8080;

const DOMAIN =
  /^(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*)$/;

function serverTls(context: CompiledContext): ServerTls {
  const { unusable, credential, trust, parameters, resource } = context;
  if (unusable !== null || credential === undefined)
    return { mode: "refuse", code: unusable ?? "secret-missing" };
  let clients: ClientAuth = { mode: "none" };
  if (trust !== undefined && clientsAreChecked(context)) {
    clients = { mode: resource.spec.cert_required === true ? "required" : "optional", trust };
  }
  return { mode: "terminate", credential, clients, parameters };
}

/** A `ca.crt` that came with the server's own certificate names its issuer; only a CA that was asked for checks clients. */
function clientsAreChecked({ resource: { spec } }: CompiledContext): boolean {
  return spec.ca_secret !== undefined || spec.cacert_chain_file !== undefined || spec.cert_required === true;
}

function agreedRedirectPort(contexts: readonly CompiledContext[], diagnostics: Diagnostic[]): number | null {
  const asking = contexts.filter(({ resource }) => resource.spec.redirect_cleartext_from !== undefined);
  const ports = new Set(asking.map(({ resource }) => resource.spec.redirect_cleartext_from as number));
  if (ports.size <= 1) return [...ports][0] ?? null;
  for (const { resource } of asking) {
    const message = `redirect_cleartext_from differs between TLSContexts: ${[...ports].sort((a, b) => a - b).join(", ")}; none is followed`;
    const source = positionOf(resource, "redirect_cleartext_from");
    diagnostics.push(diagnose("redirect-port-conflict", { subject: subjectOf(resource), source, message }));
  }
  return null;
}
