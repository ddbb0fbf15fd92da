import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Listener, VirtualHost } from "../model/listener.ts";
import type { ModuleConfig } from "../resources/module.ts";
import type { CompileOptions } from "./compilation.ts";
import { HTTP_LISTENER_PORT } from "./virtual-hosts.ts";

/** http always; https once a name is served over TLS, or should be (design §9); a flag beats `service_port`, it the default. */
export function compileListeners(
  virtualHosts: readonly VirtualHost[],
  redirectPort: number | null,
  config: ModuleConfig,
  options: CompileOptions,
  diagnostics: Diagnostic[],
): Listener[] {
  const { address } = options;
  const hasTls = virtualHosts.some(({ tls }) => tls.mode !== "cleartext");
  const httpPort = options.httpPort ?? (hasTls ? undefined : config.service_port) ?? HTTP_LISTENER_PORT;
  const httpsPort = options.httpsPort ?? config.service_port ?? 8443;
  // In order of who keeps a port that two ask for: whoever came for TLS must not be answered in cleartext.
  const wanted: Listener[] = [];
  if (hasTls) wanted.push({ name: "https", address, port: httpsPort, transport: "tls", action: "serve" });
  wanted.push({ name: "http", address, port: httpPort, transport: "cleartext", action: "serve" });
  if (redirectPort !== null && redirectPort !== HTTP_LISTENER_PORT && redirectPort !== httpPort) {
    const name = `redirect-${redirectPort}`;
    wanted.push({ name, address, port: redirectPort, transport: "cleartext", action: "redirect" });
  }
  const listeners: Listener[] = [];
  for (const listener of wanted) {
    const owner = listeners.find(({ port }) => port !== 0 && port === listener.port);
    if (owner === undefined) listeners.push(listener);
    else {
      diagnostics.push(
        diagnose("listener-port-unavailable", {
          subject: { kind: "Listener", namespace: "", name: listener.name },
          message: `port ${listener.port} is the ${owner.name} listener's, so the ${listener.name} listener is not opened`,
          effect: "object-ignored",
        }),
      );
    }
  }
  return listeners.sort((a, b) => (a.name < b.name ? -1 : 1));
}
