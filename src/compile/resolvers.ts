import { type ResolverResource, resolversByName } from "../resources/resolver.ts";

/** What a resolver's name stands for; `dns` is the default. */
export type ResolverChoice =
  | { readonly kind: "dns" | "kubernetes-endpoint" }
  | {
      readonly kind: "consul";
      readonly address: string;
      readonly datacenter: string;
      readonly tags?: readonly string[];
    }
  | { readonly kind: "closed"; readonly code: string };

/** Resolvers by name, 1.14's pre-defined ones included. */
export function compileResolvers(
  resources: readonly ResolverResource[],
): ReadonlyMap<string, ResolverChoice> {
  const found = new Map<string, ResolverChoice>([
    ["kubernetes-service", { kind: "dns" }],
    ["kubernetes-endpoint", { kind: "kubernetes-endpoint" }],
    ["endpoint", { kind: "kubernetes-endpoint" }],
  ]);
  for (const [name, resource] of resolversByName(resources)) found.set(name, choose(resource));
  return found;
}

function choose({ kind, spec, closedBy }: ResolverResource): ResolverChoice {
  if (closedBy !== null) return { kind: "closed", code: closedBy };
  if (kind === "KubernetesServiceResolver") return { kind: "dns" };
  if (kind === "KubernetesEndpointResolver") return { kind: "kubernetes-endpoint" };
  const tags = [...new Set(spec.tags ?? [])].sort();
  return {
    kind: "consul",
    address: spec.address ?? "",
    datacenter: spec.datacenter ?? "",
    ...(tags.length === 0 ? {} : { tags }),
  };
}
