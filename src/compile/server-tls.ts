import type { ClientAuth, ServerTls } from "../model/tls.ts";
import type { CompiledContext } from "./tls-contexts.ts";

/** How a name is served with a context, or the code that refuses its handshakes: never less than what is asked for. */
export function serverTls(context: CompiledContext): ServerTls {
  const { unusable, credential, trust, parameters, resource } = context;
  if (unusable !== null || credential === undefined)
    return { mode: "refuse", code: unusable ?? "secret-missing" };
  const isRequired = resource.spec.cert_required === true;
  if (isRequired && trust === undefined) return { mode: "refuse", code: "client-ca-missing" };
  let clients: ClientAuth = { mode: "none" };
  if (trust !== undefined && clientsAreChecked(context))
    clients = { mode: isRequired ? "required" : "optional", trust };
  return { mode: "terminate", credential, clients, parameters };
}

/** A `ca.crt` that came with the server's own certificate names its issuer; only a CA that was asked for checks clients. */
function clientsAreChecked({ resource: { spec } }: CompiledContext): boolean {
  return spec.ca_secret !== undefined || spec.cacert_chain_file !== undefined || spec.cert_required === true;
}
