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
  const listeners: Listener[] = [];
  const conflict = (name: string, port: number): void => {
    const subject = { kind: "Listener", namespace: "", name };
    const message = `listener ${name} and listener https are both to open port ${port}; https has it`;
    diagnostics.push(
      diagnose("redirect-port-conflict", {
        subject,
        message,
        remedy: "Give each listener a port of its own.",
      }),
    );
  };
  const isHttpsPort = (port: number): boolean => hasTls && port === httpsPort && port !== 0;
  if (isHttpsPort(httpPort)) conflict("http", httpPort);
  else listeners.push({ name: "http", address, port: httpPort, transport: "cleartext", action: "serve" });
  if (hasTls) listeners.push({ name: "https", address, port: httpsPort, transport: "tls", action: "serve" });
  if (redirectPort !== null && redirectPort !== HTTP_LISTENER_PORT && redirectPort !== httpPort) {
    const name = `redirect-${redirectPort}`;
    if (isHttpsPort(redirectPort)) conflict(name, redirectPort);
    else listeners.push({ name, address, port: redirectPort, transport: "cleartext", action: "redirect" });
  }
  return listeners.sort((a, b) => (a.name < b.name ? -1 : 1));
}
