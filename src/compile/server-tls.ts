import type { ClientAuth, ServerTls } from "../model/tls.ts";
import { type CompiledContext, clientsAreChecked } from "./tls-contexts.ts";

/** How a name is served with a context, or the code that refuses its handshakes: never less than what is asked for. */
export function serverTls(context: CompiledContext): ServerTls {
  const { unusable, credential, trust, parameters, resource } = context;
  if (unusable !== null || credential === undefined)
    return { mode: "refuse", code: unusable ?? "secret-missing" };
  const isRequired = resource.spec.cert_required === true;
  if (isRequired && trust === undefined) return { mode: "refuse", code: "client-ca-missing" };
  let clients: ClientAuth = { mode: "none" };
  if (trust !== undefined && clientsAreChecked(resource))
    clients = {
      mode: isRequired ? "required" : "optional",
      trust,
      ...(context.rules === undefined ? {} : { rules: context.rules }),
    };
  return { mode: "terminate", credential, clients, parameters };
}
