import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { HostResource } from "../resources/host.ts";
import { positionOf } from "../resources/resource.ts";
import { findContext } from "./context-lookup.ts";
import type { CompiledContext } from "./tls-contexts.ts";

/**
 * Says what a TLSContext asks of clients without having any: it has no hosts, and no Host names it. Its author may believe that certificates
 * are asked for.
 */
export function tellUnservedFields(
  contexts: ReadonlyMap<string, CompiledContext>,
  hosts: readonly HostResource[],
  diagnostics: Diagnostic[],
): void {
  const asking = [...contexts.values()].filter(
    ({ resource }) =>
      !resource.terminates && resource.writtenIn === undefined && fieldsOf(resource).length > 0,
  );
  if (asking.length === 0) return;
  const named = new Set(hosts.flatMap((host) => namedBy(host, contexts)));
  for (const context of asking) {
    const { resource, subject } = context;
    // Of one that cannot be read nobody knows what it was to be.
    if (named.has(context) || resource.closedBy !== null) continue;
    for (const field of fieldsOf(resource)) {
      const message = `${field} is for clients, and TLSContext ${resource.name} has none: it has no hosts, and no Host names it`;
      const source = positionOf(resource, field);
      diagnostics.push(diagnose("tls-field-without-clients", { subject, source, message }));
    }
  }
}

function fieldsOf({ spec }: CompiledContext["resource"]): readonly string[] {
  return [
    // Written `false` it is the default.
    ...(spec.cert_required === true ? ["cert_required"] : []),
    ...(spec.redirect_cleartext_from === undefined ? [] : ["redirect_cleartext_from"]),
    ...(spec.ocsp_staple_file === undefined ? [] : ["ocsp_staple_file"]),
  ];
}

/** Also by a Host that is refused for something else: that has its own finding. */
function namedBy(host: HostResource, contexts: ReadonlyMap<string, CompiledContext>): CompiledContext[] {
  const { tlsContext } = host.spec;
  const byName =
    tlsContext?.name === undefined || tlsContext.name === ""
      ? null
      : findContext(tlsContext.name, host, contexts, () => {});
  const own = contexts.get(`${host.namespace}/${host.name}-context`);
  return [byName, own].filter((found) => found !== null && found !== undefined && found !== "ambiguous");
}
