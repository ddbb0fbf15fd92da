import type { Compilation } from "../../compile/compilation.ts";
import { contextInUse } from "../../compile/context-lookup.ts";
import { serverTls } from "../../compile/server-tls.ts";
import type { CompiledContext } from "../../compile/tls-contexts.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import type { ServerTls, UpstreamTls } from "../../model/tls.ts";
import type { ResourceSet } from "../../resources/resource-set.ts";

/** Somebody for whom a credential is read: what people wrote, and what it became in the model. */
export interface CredentialUser {
  /** An object's kind, or `cluster`, or `listener`. */
  readonly kind: string;
  /** `namespace/name` of an object; a cluster's name; `https a.example` of a listener. */
  readonly name: string;
}

/** Whom each face of a name serves: `credential NAME`, `trust NAME`, `crl NAME`. */
export type CredentialUsers = ReadonlyMap<string, readonly CredentialUser[]>;

/** Who uses what is in the credential store; objects before what was made of them. */
export function credentialUsers(
  compilation: Pick<Compilation, "contexts" | "model">,
  resources: Pick<ResourceSet, "mappings" | "tcpMappings" | "modules">,
): CredentialUsers {
  const users = new Map<string, Map<string, CredentialUser>>();
  const add = ({ credential, trust, crl }: Faces, kind: string, name: string): void => {
    for (const [face, store] of Object.entries({ credential, trust, crl })) {
      if (store === undefined) continue;
      const known = users.get(`${face} ${store}`) ?? new Map<string, CredentialUser>();
      users.set(`${face} ${store}`, known.set(`${kind} ${name}`, { kind, name }));
    }
  };
  const { contexts, model } = compilation;
  for (const context of contexts.values()) {
    const { subject, resource, unusable } = context;
    // The `ca.crt` of a server's certificate checks no client unless one must have a certificate.
    const faces =
      resource.terminates && unusable === null ? facesOfServer(serverTls(context)) : facesOfContext(context);
    add(faces, subject.kind, `${subject.namespace}/${subject.name}`);
  }
  for (const mapping of [...resources.mappings, ...resources.tcpMappings]) {
    const { kind, namespace, name, spec } = mapping;
    if (typeof spec.tls !== "string") continue;
    const context = contextInUse(
      spec.tls,
      { namespace, resolver: spec.resolver },
      contexts,
      resources.modules,
    );
    if (context !== null) add(facesOfContext(context), kind, `${namespace}/${name}`);
  }
  for (const { name, tls } of model.clusters) add(facesOfUpstream(tls), "cluster", name);
  for (const { place, tls } of served(model)) add(facesOfServer(tls), "listener", place);
  return new Map([...users].map(([face, known]) => [face, [...known.values()].sort(objectsFirst)]));
}

interface Faces {
  readonly credential?: string | undefined;
  readonly trust?: string | undefined;
  readonly crl?: string | undefined;
}

/** Each name that is served over TLS, with the listener that serves it. */
function served({ listeners, virtualHosts, tcpListeners = [] }: GatewayModel): {
  place: string;
  tls: ServerTls;
}[] {
  const secure = listeners.filter(({ transport }) => transport === "tls");
  return [
    ...secure.flatMap(({ name }) =>
      virtualHosts.map(({ domain, tls }) => ({ place: `${name} ${domain}`, tls })),
    ),
    ...tcpListeners.flatMap(({ name, chains }) =>
      chains.flatMap(({ serverName, tls }) =>
        tls.mode === "passthrough" ? [] : [{ place: `${name} ${serverName ?? "*"}`, tls }],
      ),
    ),
  ];
}

function facesOfContext({ credential, trust, rules }: CompiledContext): Faces {
  return { credential, trust, crl: rules?.revocation?.crl };
}

function facesOfUpstream(tls: UpstreamTls): Faces {
  if (tls.mode !== "originate") return {};
  const { credential, verification } = tls;
  if (verification.mode === "none") return { credential };
  return { credential, trust: verification.trust, crl: verification.rules?.revocation?.crl };
}

function facesOfServer(tls: ServerTls): Faces {
  if (tls.mode !== "terminate") return {};
  const { credential, clients } = tls;
  if (clients.mode === "none") return { credential };
  return { credential, trust: clients.trust, crl: clients.rules?.revocation?.crl };
}

function objectsFirst(a: CredentialUser, b: CredentialUser): number {
  const key = ({ kind, name }: CredentialUser): string =>
    `${kind === "cluster" || kind === "listener" ? 1 : 0} ${kind} ${name}`;
  return key(a) < key(b) ? -1 : 1;
}
