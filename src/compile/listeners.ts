import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Listener } from "../model/listener.ts";
import type { CompileOptions } from "./compilation.ts";
import { additionalListener, isHttpPort } from "./ports.ts";
import type { CompiledNames } from "./virtual-hosts.ts";

/** http always; https once a name is served over TLS, or should be (design §9); others as contexts and Hosts ask. */
export function compileListeners(
  { ports, redirectPort, additionalPorts, hasTls }: CompiledNames,
  { address }: CompileOptions,
  diagnostics: Diagnostic[],
): Listener[] {
  // In order of who keeps a port that two ask for: whoever came for TLS must not be answered in cleartext.
  const wanted: Listener[] = [];
  if (hasTls) wanted.push({ name: "https", address, port: ports.https, transport: "tls", action: "serve" });
  wanted.push({ name: "http", address, port: ports.http, transport: "cleartext", action: "serve" });
  if (redirectPort !== null && !isHttpPort(redirectPort, ports)) {
    const name = `redirect-${redirectPort}`;
    wanted.push({ name, address, port: redirectPort, transport: "cleartext", action: "redirect" });
  }
  for (const port of additionalPorts)
    wanted.push({ name: additionalListener(port), address, port, transport: "cleartext", action: "serve" });
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
