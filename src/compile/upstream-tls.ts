import { isIP } from "node:net";
import { diagnose, type KnownCode } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { TlsParameters, UpstreamTls } from "../model/tls.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { connectPeer } from "./connect-peer.ts";
import { contextForResolver, findContext } from "./context-lookup.ts";
import type { ResolverChoice } from "./resolvers.ts";
import type { ParsedService } from "./service.ts";
import type { ServiceUser } from "./service-user.ts";
import type { CompiledContext } from "./tls-contexts.ts";

/**
 * How a Mapping's upstream is spoken to (reference §2.3.1, design §5), or the code that closes the route. A Mapping that
 * names a context never comes out of here as cleartext.
 */
export function upstreamTls(
  mapping: ServiceUser,
  service: ParsedService,
  input: UpstreamTlsInput,
  diagnostics: Diagnostic[],
): UpstreamTls | { readonly closedBy: string } {
  const { tls } = mapping.spec;
  const { resolver, verificationRequired } = input;
  if (typeof tls !== "string") {
    if (tls === false)
      report(mapping, diagnostics, {
        code: "tls-false-ignored",
        message: "tls: false changes nothing, the scheme of the service decides",
      });
    if (tls !== true && service.scheme !== "https") return { mode: "cleartext" };
    return unverified(mapping, service, undefined, verificationRequired, diagnostics);
  }
  const context = usableContext(tls, mapping, service, input, diagnostics);
  if ("closedBy" in context) return context;
  const { sni } = context.resource.spec;
  if (context.trust === undefined)
    return unverified(mapping, service, context, verificationRequired, diagnostics);
  const connect = connectPeer(context, resolver.choice, service.host);
  const serverName = sni?.toLowerCase() ?? connect?.sni ?? hostNameOf(service);
  const rules = connect?.rules ?? context.rules;
  return {
    mode: "originate",
    context: context.name,
    ...(context.credential === undefined ? {} : { credential: context.credential }),
    verification: {
      mode: "chain-and-name",
      trust: context.trust,
      name: serverName ?? service.host,
      ...(rules === undefined ? {} : { rules }),
    },
    ...(serverName === undefined ? {} : { sni: serverName }),
    parameters: context.parameters,
  };
}

/** What is known beside the Mapping and its service. */
export interface UpstreamTlsInput {
  readonly contexts: ReadonlyMap<string, CompiledContext>;
  readonly verificationRequired: boolean;
  readonly resolver: { readonly name: string; readonly choice: ResolverChoice | undefined };
}

const DEFAULT_PARAMETERS: TlsParameters = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
};

/** The context of that name, or the code that closes what names it. */
function usableContext(
  name: string,
  mapping: ServiceUser,
  service: ParsedService,
  { contexts, resolver }: UpstreamTlsInput,
  diagnostics: Diagnostic[],
): CompiledContext | { readonly closedBy: string } {
  const named = findContext(name, mapping, contexts, (code, message) =>
    report(mapping, diagnostics, { code, message }),
  );
  if (named === null) return { closedBy: "tls-context-missing" };
  if (named === "ambiguous") return { closedBy: "tls-context-ambiguous" };
  const context = contextForResolver(named, resolver.name, contexts);
  if (service.scheme === "http") {
    const message = `TLSContext ${name} is being used even though service ${mapping.spec.service} lists HTTP`;
    report(mapping, diagnostics, { code: "tls-over-http-scheme", message });
  }
  const { name: written } = context.resource;
  if (context.unusable !== null) {
    report(mapping, diagnostics, {
      code: "mapping-fails-closed",
      message: `TLSContext ${written} cannot be used (${context.unusable}), and the route never leaves without it`,
      remedy: "Mend the TLSContext; its own finding says how.",
    });
    return { closedBy: context.unusable };
  }
  if (context.unkeptUpstream !== null) {
    report(mapping, diagnostics, {
      code: "tls-engine-cannot",
      message: `TLSContext ${written} serves clients, and cannot be used for upstreams as well: ${context.unkeptUpstream}`,
      remedy: "Give the upstream a TLSContext of its own, without that rule.",
    });
    return { closedBy: "tls-engine-cannot" };
  }
  return context;
}

/** TLS with whoever answers; `context` is one without a CA, or there is none. */
function unverified(
  mapping: ServiceUser,
  service: ParsedService,
  context: CompiledContext | undefined,
  verificationRequired: boolean,
  diagnostics: Diagnostic[],
): UpstreamTls | { readonly closedBy: string } {
  const code = verificationRequired ? "upstream-verification-required" : "upstream-unverified";
  report(mapping, diagnostics, {
    code,
    field: mapping.spec.tls === undefined ? "service" : "tls",
    message: `the certificate of ${mapping.spec.service} is not verified: no CA is given`,
    ...(context === undefined
      ? { remedy: "Write `tls:` with the name of a TLSContext that has the service's CA (`ca_secret`)." }
      : {}),
  });
  if (verificationRequired) return { closedBy: code };
  const serverName = context?.resource.spec.sni?.toLowerCase() ?? hostNameOf(service);
  return {
    mode: "originate",
    ...(context === undefined ? {} : { context: context.name }),
    ...(context?.credential === undefined ? {} : { credential: context.credential }),
    verification: { mode: "none" },
    ...(serverName === undefined ? {} : { sni: serverName }),
    parameters: context?.parameters ?? DEFAULT_PARAMETERS,
  };
}

/** What may stand as a server name (RFC 6066 §3): an address may not. */
function hostNameOf({ host }: ParsedService): string | undefined {
  return isIP(host) === 0 ? host : undefined;
}

function report(
  mapping: ServiceUser,
  diagnostics: Diagnostic[],
  { code, field = "tls", ...told }: { code: KnownCode; field?: string; message: string; remedy?: string },
): void {
  diagnostics.push(
    diagnose(code, { subject: subjectOf(mapping), source: positionOf(mapping, field), ...told }),
  );
}
