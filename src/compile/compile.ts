import { createHash } from "node:crypto";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { GatewayModel } from "../model/gateway.ts";
import type { ModuleConfig, ModuleResource } from "../resources/module.ts";
import { subjectOf } from "../resources/resource.ts";
import type { Compilation, CompileInput } from "./compilation.ts";
import { compileListeners } from "./listeners.ts";
import { compileRoutes } from "./routes.ts";
import { compileTlsContexts } from "./tls-contexts.ts";
import { compileVirtualHosts, HTTP_LISTENER_PORT } from "./virtual-hosts.ts";

/**
 * Resources to model. Pure: no I/O, no clock, no logger; the same input in any order gives the same bytes. The passes
 * stand in the order in which each needs the ones before.
 */
export function compile({ resources, statuses, options }: CompileInput): Compilation {
  const diagnostics: Diagnostic[] = [];
  // 1. Settings: everything later reads defaults from them.
  const config = settings(resources.modules, diagnostics);
  const unenforced =
    resources.guards.length > 0 || resources.modules.some((module) => module.unenforced.length > 0);
  // 2. TLSContexts: judged once, for whoever names them.
  const contexts = compileTlsContexts(
    resources.tlsContexts,
    statuses,
    config.defaults?.tls_secret_namespacing ?? true,
    diagnostics,
  );
  // 3. Names served: they need the contexts, and decide the listeners.
  const { virtualHosts, redirectPort } = compileVirtualHosts(
    contexts,
    resources.unservedHosts,
    options.httpPort ?? HTTP_LISTENER_PORT,
    diagnostics,
  );
  // 4. Routes and clusters: they need the contexts for their upstreams.
  const { routes, clusters } = compileRoutes(
    {
      mappings: resources.mappings,
      contexts,
      config,
      verificationRequired:
        options.requireUpstreamVerification || config.upstream_verification === "required",
      closedBy: unenforced && !options.allowUnenforced ? "access-control-not-enforced" : null,
    },
    diagnostics,
  );
  // 5. Listeners: last, as only the names tell whether TLS is served at all.
  const model: GatewayModel = {
    http: {
      useRemoteAddress: config.use_remote_address ?? true,
      xffTrustedHops: config.xff_num_trusted_hops ?? 0,
      mergeSlashes: config.merge_slashes ?? false,
      rejectEscapedSlashes: config.reject_requests_with_escaped_slashes ?? false,
      preserveRequestId: config.preserve_external_request_id ?? false,
      stripMatchingHostPort: config.strip_matching_host_port ?? false,
      serverName: config.server_name ?? "credence",
    },
    listeners: compileListeners(virtualHosts, redirectPort, config, options, diagnostics),
    virtualHosts,
    routes,
    clusters,
  };
  return { model, diagnostics, references: references(model, resources.mappings) };
}

/** The one Module. Of several in different namespaces the first by name counts, and what any of them requires. */
function settings(modules: readonly ModuleResource[], diagnostics: Diagnostic[]): ModuleConfig {
  const [first, ...others] = modules;
  for (const other of others) {
    const message = `Module ambassador of namespace ${first?.namespace} is the one in use`;
    const source = other.raw.source;
    diagnostics.push(diagnose("object-duplicate", { subject: subjectOf(other), source, message }));
  }
  const required = others.some(({ spec }) => spec.upstream_verification === "required");
  return { ...first?.spec, ...(required ? { upstream_verification: "required" as const } : {}) };
}

/** SHA-256 (hex) of the model. Its keys are written in one order and its lists are sorted, so equal models are equal text. */
export function hashModel(model: GatewayModel): string {
  return createHash("sha256").update(JSON.stringify(model)).digest("hex");
}

function references(
  model: GatewayModel,
  mappings: CompileInput["resources"]["mappings"],
): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const positions = new Map(
    mappings.map(({ namespace, name, raw }) => [`mapping/${namespace}/${name}`, raw.source]),
  );
  for (const route of model.routes) {
    found[`route ${route.name}`] = route.destinations.map(({ name }) => {
      const at = positions.get(name);
      return at === undefined ? name : `${name} ${at.file}:${at.line}`;
    });
  }
  for (const { domain, origin } of model.virtualHosts) found[`host ${domain}`] = [origin];
  return found;
}
