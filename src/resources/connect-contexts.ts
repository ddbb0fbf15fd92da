import { defaultResolver } from "./module.ts";
import { byNamespaceAndName, subjectOf } from "./resource.ts";
import { resolversByName } from "./resolver.ts";
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
  const users = usersOf(resources);
  /** One for each resolver of `among`; the first resolver there is where they name none. */
  const variants = (context: TlsContextResource, service: string, among: readonly User[]) => {
    const names = new Set(among.map(({ resolver }) => resolver));
    const wanted = resolvers.filter(({ name }) => names.has(name));
    return (wanted.length === 0 ? [first] : wanted).map((resolver, index): TlsContextResource => {
      const { secret: _, ...spec } = context.spec;
      const { name, raw } = resolver;
      return {
        ...context,
        // What is the matter with an implied one is the matter of the resolver that implies it.
        ...(context.writtenIn === undefined ? {} : { writtenIn: subjectOf(resolver), raw }),
        name: index === 0 ? context.name : connectVariant(context.name, name),
        spec: { ...spec, identity: { consul: { resolver: name, service } } },
        followsResolver: true,
      };
    });
  };
  const written = resources.tlsContexts.flatMap((context) => {
    const service = connectorsService(context, secrets);
    if (service === null) return [context];
    const { name, namespace } = context;
    const among = users.filter(({ tls }) => tls === name || tls === `${name}.${namespace}`);
    return variants(context, service, among);
  });
  const isWritten = resources.tlsContexts.some(({ name }) => name === CONNECT_CONTEXT);
  const needy = isWritten ? [] : users.filter(({ tls }) => tls === CONNECT_CONTEXT);
  // In the namespace of who names it: a group of a fleet sees its own namespaces alone.
  const implied = [...new Set(needy.map(({ namespace }) => namespace))].flatMap((namespace) => {
    const context = {
      ...impliedContext(subjectOf(first), CONNECT_CONTEXT, { hosts: [] }, first.raw, null),
      namespace,
    };
    const among = needy.filter((user) => user.namespace === namespace);
    return variants(context, serviceOf(ambassadorId), among);
  });
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

/** The service that the connector's Secret was for; null: the context has another one, or it is there. */
function connectorsService({ spec, namespace, closedBy }: TlsContextResource, secrets: ReadonlySet<string>) {
  const { secret } = spec;
  if (closedBy !== null || spec.identity !== undefined || secret === undefined) return null;
  if (!secret.startsWith(CONSUL_SERVICE) || !secret.endsWith(SUFFIX)) return null;
  if (secrets.has(secretCredentialName(namespace, secret))) return null;
  return secret.slice(0, -SUFFIX.length);
}

interface User {
  readonly namespace: string;
  readonly tls: string;
  readonly resolver: string | undefined;
}

function usersOf({ modules, mappings, tcpMappings }: ResourceSet): User[] {
  const byDefault = defaultResolver(modules);
  return [...mappings, ...tcpMappings].flatMap(({ namespace, spec: { tls, resolver = byDefault } }) =>
    typeof tls === "string" ? [{ namespace, tls, resolver }] : [],
  );
}
