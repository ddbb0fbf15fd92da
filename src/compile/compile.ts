import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { limitOf } from "../model/capabilities.ts";
import type { Cluster } from "../model/cluster.ts";
import type { GatewayModel } from "../model/gateway.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { compileAuthorization } from "./authorization.ts";
import { CompileMemory } from "./compile-memory.ts";
import type { Compilation, CompileInput } from "./compilation.ts";
import { closeWhatTheEngineCannot } from "./engine-limits.ts";
import { guardedBy } from "./guards.ts";
import { compileHosts } from "./hosts.ts";
import { compileIngresses } from "./ingresses.ts";
import { compileListeners } from "./listeners.ts";
import { compileOutsideServices } from "./outside-services.ts";
import { checkDefaultLabels, rateLimitDomain } from "./rate-limits.ts";
import { compileResolvers } from "./resolvers.ts";
import { compileRoutes } from "./routes.ts";
import { compileSettings } from "./settings.ts";
import { statusesFor } from "./statuses.ts";
import { compileTcp } from "./tcp.ts";
import { compileTlsContexts } from "./tls-contexts.ts";
import { compileTlsModules } from "./tls-modules.ts";
import { tellUnservedFields } from "./unserved-fields.ts";
import { compileVirtualHosts } from "./virtual-hosts.ts";

/**
 * Resources to model. Pure: no I/O, no clock, no logger; the same input in any order gives the same bytes, whatever
 * `memory` holds of compiles before. The passes
 * stand in the order in which each needs the ones before.
 */
export function compile(
  { resources, statuses: offered, epoch, options }: CompileInput,
  memory: CompileMemory = new CompileMemory(),
): Compilation {
  const diagnostics: Diagnostic[] = [];
  const statuses = statusesFor(options.engine, offered);
  // 1. Settings: everything later reads defaults from them.
  const settings = compileSettings(resources, options, diagnostics);
  const { config } = settings;
  // 2. Ingresses: they stand for Hosts and Mappings.
  const ingresses = compileIngresses(resources.ingresses, resources.ingressClasses, diagnostics);
  const mappings = [...resources.mappings, ...ingresses.mappings];
  // 3. TLSContexts, those of old Modules too: judged once, for whoever names them.
  const namespacingDefault = config.defaults?.tls_secret_namespacing ?? true;
  const contextsWritten = [...resources.tlsContexts, ...compileTlsModules(resources, diagnostics)];
  const { value: written, diagnostics: ofContexts } = memory.contexts(
    contextsWritten,
    epoch === undefined ? null : JSON.stringify([epoch, namespacingDefault, options.engine]),
    () => compileTlsContexts(contextsWritten, statuses, namespacingDefault, options.engine),
  );
  diagnostics.push(...ofContexts);
  // 4. Hosts: they need the contexts, and imply some.
  const hosts = compileHosts(
    {
      hosts: [...resources.hosts, ...ingresses.hosts],
      contexts: written,
      statuses,
      namespacingDefault,
      engine: options.engine,
    },
    diagnostics,
  );
  const { contexts } = hosts;
  tellUnservedFields(contexts, resources.hosts, diagnostics);
  // 5. Names served: whatever Hosts, Ingresses and contexts claim, and the listeners for it.
  const names = compileVirtualHosts(
    {
      ...hosts,
      ruled: ingresses.ruled,
      hasUnreadNames: [...resources.hosts, ...ingresses.hosts].some(({ domain }) => domain === null),
      config,
      redirectsCleartext: settings.redirectsCleartext,
      options,
    },
    diagnostics,
  );
  const input = {
    contexts,
    config,
    resolvers: compileResolvers(resources.resolvers),
    verificationRequired: settings.verificationRequired,
  };
  // 6. Authorization: what cannot be asked about is closed, and the routes are to know.
  const auth = compileAuthorization(resources.authServices, input, options, diagnostics);
  // 7. Services beside the way of a request: routes say what limits their requests count for.
  const outside = compileOutsideServices(resources.outsideServices, input, options.engine, diagnostics);
  const labelled = rateLimitDomain(outside, limitOf(options.engine, "rate-limit-service") === null);
  checkDefaultLabels(resources.modules, labelled, diagnostics);
  // 8. Routes and clusters: they need the contexts for their upstreams.
  const compiled = compileRoutes(
    {
      ...input,
      mappings,
      closedBy: settings.closedBy,
      authClosedBy: auth.closedBy,
      authTakesContext: auth.authorization?.protocol === "grpc",
      rateLimitDomain: labelled,
      guarded: options.allowUnenforced === true ? [] : guardedBy(resources.guards),
    },
    memory,
    diagnostics,
  );
  // 9. What the engine cannot do: it needs the clusters, and closes the routes to them.
  const { routes, clusters } = closeWhatTheEngineCannot(
    compiled.routes,
    withClusters(compiled.clusters, auth.clusters),
    mappings,
    options.engine,
    diagnostics,
  );
  // 10. Listeners, and TCPMappings: they need the names for their TLS, and get the ports that are left.
  const listeners = compileListeners(names, options, diagnostics);
  const tcp = compileTcp(
    {
      ...input,
      tcpMappings: resources.tcpMappings,
      virtualHosts: names.virtualHosts,
      listeners,
      address: options.address,
      engine: options.engine,
    },
    diagnostics,
  );
  const model: GatewayModel = {
    http: settings.http,
    listeners,
    ...(tcp.listeners.length === 0 ? {} : { tcpListeners: tcp.listeners }),
    virtualHosts: names.virtualHosts,
    ...(outside.length === 0 ? {} : { outside }),
    ...(auth.authorization === null ? {} : { authorization: auth.authorization }),
    routes,
    clusters: withClusters(clusters, tcp.clusters),
  };
  return {
    model,
    diagnostics,
    contexts,
    get references() {
      return references(model, mappings);
    },
  };
}

function withClusters(clusters: readonly Cluster[], more: readonly Cluster[]): readonly Cluster[] {
  if (more.length === 0) return clusters;
  const all = new Map([...clusters, ...more].map((cluster) => [cluster.name, cluster]));
  return [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function references(model: GatewayModel, mappings: readonly MappingResource[]): Record<string, string[]> {
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
  const asked = model.authorization?.services.map(({ name }) => name);
  if (asked !== undefined) found.authorization = asked;
  for (const { domain, origin } of model.virtualHosts) found[`host ${domain}`] = [origin];
  return found;
}
