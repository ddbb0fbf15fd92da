import { connectVariant } from "../resources/connect-contexts.ts";
import { defaultResolver, type ModuleResource } from "../resources/module.ts";
import type { CompiledContext } from "./tls-contexts.ts";

export type LookupCode = "tls-context-missing" | "tls-context-ambiguous" | "tls-context-other-namespace";

/** Design §9: an object of the own namespace called just so, then `x` in namespace `y` of `x.y`, then a unique bare name. */
export function findContext(
  name: string,
  from: { readonly namespace: string },
  contexts: ReadonlyMap<string, CompiledContext>,
  report: (code: LookupCode, message: string) => void,
): CompiledContext | "ambiguous" | null {
  const own = contexts.get(`${from.namespace}/${name}`);
  if (own !== undefined) return own;
  const dot = name.lastIndexOf(".");
  const qualified = dot > 0 ? contexts.get(`${name.slice(dot + 1)}/${name.slice(0, dot)}`) : undefined;
  if (qualified !== undefined) return qualified;
  const elsewhere = [...contexts.values()].filter(({ resource }) => resource.name === name);
  const [only] = elsewhere;
  if (only === undefined) {
    report("tls-context-missing", `Originate-TLS context ${name} is not defined`);
    return null;
  }
  if (elsewhere.length > 1) {
    const where = elsewhere.map(({ resource }) => resource.namespace).sort();
    report("tls-context-ambiguous", `TLSContext ${name} stands in the namespaces ${where.join(", ")}`);
    return "ambiguous";
  }
  report(
    "tls-context-other-namespace",
    `TLSContext ${name} is taken from namespace ${only.resource.namespace}`,
  );
  return only;
}

/** What `tls: NAME` of an object comes to, as it is for the object's resolver; null where nothing, or several things, have the name. */
export function contextInUse(
  name: string,
  { namespace, resolver }: { readonly namespace: string; readonly resolver?: string | undefined },
  contexts: ReadonlyMap<string, CompiledContext>,
  modules: readonly ModuleResource[],
): CompiledContext | null {
  const named = findContext(name, { namespace }, contexts, () => {});
  if (named === null || named === "ambiguous") return null;
  return contextForResolver(named, resolver ?? defaultResolver(modules) ?? "", contexts);
}

/** Of Consul Connect each resolver's agent issues another certificate: the context as it is for who has this resolver. */
export function contextForResolver(
  named: CompiledContext,
  resolver: string,
  contexts: ReadonlyMap<string, CompiledContext>,
): CompiledContext {
  if (named.resource.followsResolver !== true) return named;
  return contexts.get(connectVariant(named.name, resolver)) ?? named;
}
