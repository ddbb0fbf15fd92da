import { parseService } from "../compile/service.ts";
import type { MappingResource } from "../resources/mapping.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import type { Report } from "./finding.ts";
import { fates, type MigrationInput } from "./input.ts";
import { fieldsYaml } from "./snippet.ts";

/** Rules about Consul, Istio and Linkerd (reference §3). */
export function meshRules(input: MigrationInput, report: Report): void {
  const { resolvers, mappings, modules, tlsContexts } = input.resources;
  const consul = resolvers.filter(({ kind }) => kind === "ConsulResolver");
  for (const resolver of consul) {
    report("consul-datacenter-ignored", {
      at: resolver,
      field: "datacenter",
      before: "The datacenter was never sent to Consul: its agent answered for its own.",
      now: `Consul is asked for datacenter ${resolver.spec.datacenter ?? "(none)"}.`,
      edit: {
        what: "Write the datacenter that the services are in.",
        yaml: fieldsYaml({ datacenter: resolver.spec.datacenter ?? "dc1" }),
      },
    });
  }
  const byConsul = new Set(consul.map(({ name }) => name));
  const linkerdDefault = modules.some(({ spec }) => spec.add_linkerd_headers === true);
  for (const mapping of mappings) {
    if (mapping.spec.resolver !== undefined && byConsul.has(mapping.spec.resolver))
      consulMapping(mapping, tlsContexts, report);
    if (mapping.spec.add_linkerd_headers ?? linkerdDefault) linkerdMapping(mapping, mappings, report);
  }
  const fateOf = fates(input.model);
  for (const context of tlsContexts) {
    const { secret = "", alpn_protocols = "" } = context.spec;
    const isIstio = /(?:^|,)\s*istio\s*(?:,|$)/.test(alpn_protocols) || /^istio-certs(?:\.|$)/.test(secret);
    if (!isIstio) continue;
    const isVerified = mappings.some((mapping) => {
      const fate = fateOf(mapping);
      return (
        fate.kind === "forward" &&
        fate.tls.mode === "originate" &&
        fate.tls.context === `${context.namespace}/${context.name}` &&
        fate.tls.verification.mode !== "none"
      );
    });
    report("istio-peer-unchecked", {
      at: context,
      before: "The gateway proved who it is and did not ask who its peer is: Istio's root was not used.",
      now: isVerified
        ? "The peer must chain to the root and be of the gateway's trust domain."
        : "The same, with a warning, as no root is given.",
      edit: {
        what: "Give it Istio's root; with --istio-certs the root-cert.pem of that folder is read, and this is not needed.",
        yaml: fieldsYaml({ ca_secret: "istio-root" }),
      },
    });
  }
}

function consulMapping(
  mapping: MappingResource,
  contexts: readonly TlsContextResource[],
  report: Report,
): void {
  const { service, tls, resolver } = mapping.spec;
  const parsed = parseService(service);
  if (
    typeof parsed !== "string" &&
    (parsed.scheme !== null || parsed.port !== undefined || parsed.host.includes("."))
  ) {
    report("consul-service-unresolved", {
      at: mapping,
      field: "service",
      before: `Consul was asked for a service called ${JSON.stringify(service)}, scheme and port included, or the Mapping was invalid: it was never found.`,
      now: parsed.host.includes(".")
        ? "Names have no dots in Consul: the route answers 503."
        : `Consul is asked for ${parsed.host}.`,
      edit: {
        what: "Write the service's name, and its TLS in `tls`.",
        yaml: fieldsYaml({ service: parsed.host.split(".")[0] }),
      },
    });
  }
  if (typeof tls === "string") {
    const isIssued = contexts.some(({ name, spec }) => name === tls && spec.identity?.consul !== undefined);
    report("consul-peer-unchecked", {
      at: mapping,
      field: "tls",
      before: "Of the sidecar neither root nor SPIFFE ID was checked, and no server name was sent.",
      ...(isIssued
        ? {
            now: "Consul's agent issues the certificate; the peer must chain to Connect's roots and have the SPIFFE ID of the service.",
          }
        : {
            now: "With Consul's root in the context's Secret (`ca.crt`) or `ca_secret`, the peer must chain to it; with `identity` it must also be the service.",
            edit: {
              what: `Have Consul's agent issue what TLSContext ${tls} presents and trusts, in place of its Secret.`,
              yaml: fieldsYaml({ identity: { consul: { resolver } } }),
            },
          }),
    });
  }
}

function linkerdMapping(mapping: MappingResource, all: readonly MappingResource[], report: Report): void {
  const { spec, namespace } = mapping;
  const service = parseService(spec.service);
  if (typeof service === "string") return;
  const at = mapping;
  const field = "add_linkerd_headers";
  report("linkerd-header-appended", {
    at,
    field,
    before: "l5d-dst-override was added behind the client's own, by which Linkerd could be sent elsewhere.",
    now: "The client's is removed, and ours is the only one.",
  });
  if (service.scheme === null && service.port === undefined && typeof spec.tls === "string") {
    report("linkerd-port", {
      at,
      field,
      before: "l5d-dst-override said port 80, while the upstream's is 443 by `tls`.",
      now: "It says port 443.",
    });
  }
  if (!service.host.includes(".") && service.host !== "localhost") {
    report("linkerd-name", {
      at,
      field,
      before: `l5d-dst-override said ${service.host} without a namespace, which Linkerd cannot place for sure.`,
      now: `It says ${service.host}.${namespace}.svc.cluster.local.`,
    });
  }
  const twin = all.find(
    (other) =>
      other !== mapping &&
      other.spec.prefix === spec.prefix &&
      other.spec.host === spec.host &&
      other.spec.service !== spec.service,
  );
  if (twin !== undefined) {
    report("linkerd-canary", {
      at,
      field,
      before: `The header was one for the whole group, with Mapping ${twin.name}: Linkerd undid the split.`,
      now: "Each destination has its own.",
    });
  }
}
