import { createHash } from "node:crypto";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { GatewayModel } from "../model/gateway.ts";
import type { Compilation, CompileInput } from "./compilation.ts";
import { closeWhatTheEngineCannot } from "./engine-limits.ts";
import { compileListeners } from "./listeners.ts";
import { compileResolvers } from "./resolvers.ts";
import { RouteMemory } from "./route-memory.ts";
import { compileRoutes } from "./routes.ts";
import { compileSettings } from "./settings.ts";
import { compileTlsContexts } from "./tls-contexts.ts";
import { compileVirtualHosts } from "./virtual-hosts.ts";

/**
 * Resources to model. Pure: no I/O, no clock, no logger; the same input in any order gives the same bytes, whatever
 * `memory` holds of compiles before. The passes
 * stand in the order in which each needs the ones before.
 */
export function compile(
  { resources, statuses, options }: CompileInput,
  memory: RouteMemory = new RouteMemory(),
): Compilation {
  const diagnostics: Diagnostic[] = [];
  // 1. Settings: everything later reads defaults from them.
  const settings = compileSettings(resources, options, diagnostics);
  const { config } = settings;
  // 2. TLSContexts: judged once, for whoever names them.
  const contexts = compileTlsContexts(
    resources.tlsContexts,
    statuses,
    config.defaults?.tls_secret_namespacing ?? true,
    diagnostics,
  );
  // 3. Names served: they need the contexts, and decide the listeners.
  const { virtualHosts, redirectPort } = compileVirtualHosts(
    { contexts, unserved: resources.unservedHosts, terminatingModule: settings.terminatingModule, options },
    diagnostics,
  );
  // 4. Routes and clusters: they need the contexts for their upstreams.
  const compiled = compileRoutes(
    {
      mappings: resources.mappings,
      contexts,
      config,
      resolvers: compileResolvers(resources.resolvers),
      verificationRequired: settings.verificationRequired,
      closedBy: settings.closedBy,
    },
    memory,
    diagnostics,
  );
  // 5. What the engine cannot do: it needs the clusters, and closes the routes to them.
  const { routes, clusters } = closeWhatTheEngineCannot(
    compiled.routes,
    compiled.clusters,
    resources.mappings,
    diagnostics,
  );
  // 6. Listeners: last, as only the names tell whether TLS is served at all.
  const model: GatewayModel = {
    http: settings.http,
    listeners: compileListeners(virtualHosts, redirectPort, settings.config, options, diagnostics),
    virtualHosts,
    routes,
    clusters,
  };
  return {
    model,
    diagnostics,
    get references() {
      return references(model, resources.mappings);
    },
  };
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
