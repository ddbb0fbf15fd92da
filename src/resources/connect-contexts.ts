import { subjectOf } from "./resource.ts";
import { type ResolverResource, resolversByName } from "./resolver.ts";
import type { ResourceSet } from "./resource-set.ts";
import { secretCredentialName } from "./secret.ts";
import { impliedContext, type TlsContextResource } from "./tls-context.ts";
import { CONSUL_SERVICE } from "./tls-identity.ts";

/** What 1.14's Consul Connect connector was told beside the resources. */
export interface ConnectSurroundings {
  /** Names in the credential store of the Secrets that somebody wrote. */
  readonly secrets: ReadonlySet<string>;
  readonly ambassadorId: string;
}

/**
 * 1.14's way to Consul Connect (reference §3.2.2): `tls: ambassador-consul`, a TLSContext whose Secret a connector wrote. Where
 * that Secret is not written, the agent of the ConsulResolver is asked for what the connector would have put there; the
 * TLSContext itself is implied where a Mapping names it. Each resolver has an agent, so a context that serves Mappings
 * of several is there once for each: the first under its name, the others beside it.
 */
export function withConnectContexts(
  resources: ResourceSet,
  { secrets, ambassadorId }: ConnectSurroundings,
): ResourceSet {
  const resolvers = [...resolversByName(resources.resolvers).values()].filter(
    ({ kind, closedBy }) => kind === "ConsulResolver" && closedBy === null,
  );
  const [first] = resolvers;
  if (first === undefined) return resources;
  const used = resolversOfUsers(resources);
  const variants = (
    contextFor: (resolver: ResolverResource) => TlsContextResource,
    service: string,
  ): TlsContextResource[] => {
    const names = used.get(contextFor(first).name) ?? new Set();
    const wanted = resolvers.filter(({ name }) => names.has(name));
    return (wanted.length === 0 ? [first] : wanted).map((resolver, index) => {
      const context = contextFor(resolver);
      const { name } = resolver;
      const { secret: _, ...spec } = context.spec;
      return {
        ...context,
        name: index === 0 ? context.name : connectVariant(context.name, name),
        spec: { ...spec, identity: { consul: { resolver: name, service } } },
        followsResolver: true as const,
      };
    });
  };
  const written = resources.tlsContexts.flatMap((context) => {
    const service = connectorsService(context, secrets);
    return service === null ? [context] : variants(() => context, service);
  });
  const isWritten = resources.tlsContexts.some(({ name }) => name === CONNECT_CONTEXT);
  const implied = isWritten || !used.has(CONNECT_CONTEXT) ? [] : variants(impliedBy, serviceOf(ambassadorId));
  return { ...resources, tlsContexts: [...written, ...implied].sort(byNamespaceAndName) };
}

/** The name under which a context is there for another resolver than its first. Nobody can write it: it has blanks. */
export function connectVariant(context: string, resolver: string): string {
  return `${context} (by ${resolver})`;
}

const CONNECT_CONTEXT = "ambassador-consul";
const SUFFIX = "-consul-connect";

function serviceOf(ambassadorId: string): string {
  return ambassadorId === "default" || ambassadorId === ""
    ? CONSUL_SERVICE
    : `${CONSUL_SERVICE}-${ambassadorId}`;
}

function impliedBy(resolver: ResolverResource): TlsContextResource {
  return impliedContext(subjectOf(resolver), CONNECT_CONTEXT, { hosts: [] }, resolver.raw, null);
}

/** The service that the connector's Secret was for; null: the context has another one, or it is there. */
function connectorsService({ spec, namespace, closedBy }: TlsContextResource, secrets: ReadonlySet<string>) {
  const { secret } = spec;
  if (closedBy !== null || spec.identity !== undefined || secret === undefined) return null;
  if (!secret.startsWith(CONSUL_SERVICE) || !secret.endsWith(SUFFIX)) return null;
  if (secrets.has(secretCredentialName(namespace, secret))) return null;
  return secret.slice(0, -SUFFIX.length);
}

/** By the name of a context, the resolvers of what names it. */
function resolversOfUsers(resources: ResourceSet): Map<string, Set<string>> {
  const byDefault = resources.modules.find(({ spec }) => spec.resolver !== undefined)?.spec.resolver;
  const found = new Map<string, Set<string>>();
  for (const { spec } of [...resources.mappings, ...resources.tcpMappings]) {
    if (typeof spec.tls !== "string") continue;
    const resolver = spec.resolver ?? byDefault;
    const names = found.get(spec.tls) ?? new Set();
    if (resolver !== undefined) names.add(resolver);
    found.set(spec.tls, names);
  }
  return found;
}

function byNamespaceAndName(a: TlsContextResource, b: TlsContextResource): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
