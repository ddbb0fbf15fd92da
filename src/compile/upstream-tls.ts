import { isIP } from "node:net";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { TlsParameters, UpstreamTls } from "../model/tls.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { connectVariant } from "../resources/connect-contexts.ts";
import { connectPeer } from "./connect-peer.ts";
import { findContext } from "./context-lookup.ts";
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
  { contexts, verificationRequired, resolver }: UpstreamTlsInput,
  diagnostics: Diagnostic[],
): UpstreamTls | { readonly closedBy: string } {
  const { tls } = mapping.spec;
  const report = (code: Parameters<typeof diagnose>[0], message: string): void => {
    diagnostics.push(
      diagnose(code, { subject: subjectOf(mapping), source: positionOf(mapping, "tls"), message }),
    );
  };
  if (tls === false)
    report("tls-false-ignored", "tls: false changes nothing, the scheme of the service decides");
  if (typeof tls !== "string") {
    if (tls !== true && service.scheme !== "https") return { mode: "cleartext" };
    return unverified(
      mapping,
      service,
      undefined,
      undefined,
      DEFAULT_PARAMETERS,
      verificationRequired,
      diagnostics,
    );
  }
  const named = findContext(tls, mapping, contexts, report);
  if (named === null) return { closedBy: "tls-context-missing" };
  if (named === "ambiguous") return { closedBy: "tls-context-ambiguous" };
  const context =
    named.resource.followsResolver === true
      ? (contexts.get(connectVariant(named.name, resolver.name)) ?? named)
      : named;
  if (service.scheme === "http") {
    report(
      "tls-over-http-scheme",
      `TLSContext ${tls} is being used even though service ${mapping.spec.service} lists HTTP`,
    );
  }
  if (context.unusable !== null) {
    diagnostics.push(
      diagnose("mapping-fails-closed", {
        subject: subjectOf(mapping),
        source: positionOf(mapping, "tls"),
        message: `TLSContext ${context.resource.name} cannot be used (${context.unusable}), and the route never leaves without it`,
        remedy: "Mend the TLSContext; its own finding says how.",
      }),
    );
    return { closedBy: context.unusable };
  }
  if (context.unkeptUpstream !== null) {
    diagnostics.push(
      diagnose("tls-engine-cannot", {
        subject: subjectOf(mapping),
        source: positionOf(mapping, "tls"),
        message: `TLSContext ${context.resource.name} serves clients, and cannot be used for upstreams as well: ${context.unkeptUpstream}`,
        remedy: "Give the upstream a TLSContext of its own, without that rule.",
      }),
    );
    return { closedBy: "tls-engine-cannot" };
  }
  const { sni } = context.resource.spec;
  if (context.trust === undefined) {
    return unverified(mapping, service, context, sni, context.parameters, verificationRequired, diagnostics);
  }
  const connect = connectPeer(context, resolver.choice, service.host);
  const serverName =
    sni?.toLowerCase() ?? connect?.sni ?? (isIP(service.host) === 0 ? service.host : undefined);
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

function unverified(
  mapping: ServiceUser,
  service: ParsedService,
  context: CompiledContext | undefined,
  sni: string | undefined,
  parameters: TlsParameters,
  verificationRequired: boolean,
  diagnostics: Diagnostic[],
): UpstreamTls | { readonly closedBy: string } {
  const code = verificationRequired ? "upstream-verification-required" : "upstream-unverified";
  diagnostics.push(
    diagnose(code, {
      subject: subjectOf(mapping),
      source: positionOf(mapping, mapping.spec.tls === undefined ? "service" : "tls"),
      message: `the certificate of ${mapping.spec.service} is not verified: no CA is given`,
      ...(context === undefined
        ? { remedy: "Write `tls:` with the name of a TLSContext that has the service's CA (`ca_secret`)." }
        : {}),
    }),
  );
  if (verificationRequired) return { closedBy: code };
  const serverName = sni?.toLowerCase() ?? (isIP(service.host) === 0 ? service.host : undefined);
  return {
    mode: "originate",
    ...(context === undefined ? {} : { context: context.name }),
    ...(context?.credential === undefined ? {} : { credential: context.credential }),
    verification: { mode: "none" },
    ...(serverName === undefined ? {} : { sni: serverName }),
    parameters,
  };
}
