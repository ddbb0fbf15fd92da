import { lstat } from "node:fs/promises";
import { dirname } from "node:path";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { agentSocket } from "../mesh/consul/agent-environment.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { ResolverResource } from "../resources/resolver.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import { CONSUL_SERVICE, socketPath, type TlsIdentity } from "../resources/tls-identity.ts";
import { placeWithin } from "../sources/files/allowed-folders.ts";
import type { CredentialSink } from "../sources/files/secret-offers.ts";
import { consulEnvironment, isOperatorsAgent } from "./consul-environment.ts";

/** What the resources of a group of a fleet may be, and may name. What is absent is not bounded. */
export interface GroupBounds {
  /** Of these alone, their Secrets included. */
  readonly namespaces?: ReadonlySet<string>;
  /** Certificate files and sockets of issuers in these alone, wherever symbolic links lead. */
  readonly folders?: readonly string[];
  /** Services that it may be to Consul. */
  readonly consulServices?: readonly string[];
}

/** As the rules of a fleet say it. Who is limited to namespaces has of the control plane's machine only what is listed. */
export function boundsOf(
  group: {
    readonly namespaces?: readonly string[];
    readonly files?: readonly string[];
    readonly consulServices?: readonly string[];
  } | null,
): GroupBounds {
  if (group === null) return {};
  const { namespaces, files, consulServices } = group;
  const limited = namespaces === undefined ? undefined : [];
  const folders = files ?? limited;
  const services = consulServices ?? limited;
  return {
    ...(namespaces === undefined ? {} : { namespaces: new Set(namespaces) }),
    ...(folders === undefined ? {} : { folders }),
    ...(services === undefined ? {} : { consulServices: services }),
  };
}

/** Secrets of other namespaces never reach the store: whatever a resource names, it cannot be had here. */
export function boundedSecrets({ namespaces }: GroupBounds, sink: CredentialSink): CredentialSink {
  if (namespaces === undefined) return sink;
  const isOurs = (name: string): boolean => namespaces.has(name.split("/")[1] ?? "");
  return {
    offer: (name, material, origin) => isOurs(name) && sink.offer(name, material, origin),
    remove: (name) => isOurs(name) && sink.remove(name),
  };
}

export interface LoadedResources {
  readonly resources: ResourceSet;
  readonly diagnostics: readonly Diagnostic[];
  readonly complete: boolean;
}

/** What is a group's. A TLSContext or resolver whose issuer or agent it may not ask is closed; of files, each reading judges (CertificateFiles). */
export async function boundedResources(
  bounds: GroupBounds,
  loaded: LoadedResources,
): Promise<LoadedResources> {
  const { namespaces, folders, consulServices } = bounds;
  // The very same resources tell the loop that nothing is to be compiled.
  if (namespaces === undefined && folders === undefined && consulServices === undefined) return loaded;
  const isOurs = ({ namespace }: { readonly namespace: string }): boolean =>
    namespaces?.has(namespace) !== false;
  const refusals = await refusalsOf(bounds, loaded.resources, isOurs);
  return {
    resources: closedResources(bounds, loaded.resources, isOurs, refusals),
    // What is wrong with a file as such concerns everybody who reads it.
    diagnostics: [
      ...loaded.diagnostics.filter(({ subject }) => subject.kind === "File" || isOurs(subject)),
      ...refusals.map(diagnosticOf),
    ],
    complete: loaded.complete,
  };
}

interface Refusal {
  readonly of: TlsContextResource | ResolverResource;
  readonly message: string;
}

/** Asked anew at each reading, whatever is remembered: where a link leads may have changed while no resource did. */
async function refusalsOf(
  bounds: GroupBounds,
  { tlsContexts, resolvers }: ResourceSet,
  isOurs: (resource: { readonly namespace: string }) => boolean,
): Promise<Refusal[]> {
  const asked = [
    ...tlsContexts.filter(isOurs).map((of) => ({ of, why: refusedIssuer(of.spec.identity, bounds) })),
    ...resolvers.filter(isOurs).map((of) => ({ of, why: refusedAgent(of, bounds) })),
  ];
  const answers = await Promise.all(
    asked.map(async ({ of, why }) => {
      const message = await why;
      return message === null ? [] : [{ of, message }];
    }),
  );
  return answers.flat();
}

/** The very object of the last reading where the resources are those of then, and the same of them are refused. */
function closedResources(
  bounds: GroupBounds,
  whole: ResourceSet,
  isOurs: (resource: { readonly namespace: string }) => boolean,
  refusals: readonly Refusal[],
): ResourceSet {
  const refused = new Set(refusals.map(({ of }) => of));
  const last = LAST.get(bounds);
  if (last?.whole === whole && areSame(last.refused, refused)) return last.resources;
  const ours = Object.fromEntries(
    Object.entries(whole).map(([kind, list]) => [
      kind,
      (list as ResourceSet[keyof ResourceSet]).filter(isOurs),
    ]),
  ) as unknown as ResourceSet;
  const closed = <R extends Refusal["of"]>(resource: R): R =>
    refused.has(resource) ? { ...resource, closedBy: resource.closedBy ?? "outside-group" } : resource;
  const resources = {
    ...ours,
    tlsContexts: ours.tlsContexts.map(closed),
    resolvers: ours.resolvers.map(closed),
  };
  LAST.set(bounds, { whole, refused, resources });
  return resources;
}

const LAST = new WeakMap<
  GroupBounds,
  {
    readonly whole: ResourceSet;
    readonly refused: ReadonlySet<Refusal["of"]>;
    readonly resources: ResourceSet;
  }
>();

function areSame(one: ReadonlySet<unknown>, other: ReadonlySet<unknown>): boolean {
  return one.size === other.size && [...one].every((member) => other.has(member));
}

function diagnosticOf({ of, message }: Refusal): Diagnostic {
  if (!("terminates" in of)) {
    const at = { subject: subjectOf(of), source: positionOf(of, "address") };
    return diagnose("outside-group", { ...at, message, remedy: AGENT_REMEDY });
  }
  return diagnose("outside-group", {
    subject: subjectOf(of),
    source: positionOf(of, "identity"),
    message,
    ...(of.spec.identity?.consul === undefined
      ? {}
      : { remedy: "Have the group in the fleet's rules list the service under `consul_services`." }),
    ...(of.terminates ? { effect: "host-refused" as const } : {}),
  });
}

/** Access control of other namespaces: who reads the rules of a fleet may think that it guards every group. */
export function guardsElsewhere(
  { authServices, guards }: ResourceSet,
  { namespaces }: GroupBounds,
): string[] {
  if (namespaces === undefined) return [];
  return [...authServices, ...guards]
    .filter(({ namespace }) => !namespaces.has(namespace))
    .map(({ kind, namespace, name }) => `${kind} ${name} in ${namespace}`);
}

/** Why a group may not have what this issuer would deliver; null: it may, or nobody is asked. */
async function refusedIssuer(
  identity: TlsIdentity | undefined,
  { folders, consulServices }: GroupBounds,
): Promise<string | null> {
  if (identity?.consul !== undefined) {
    const { service = CONSUL_SERVICE } = identity.consul;
    return consulServices?.includes(service) === false ? `this group may not be ${service} to Consul` : null;
  }
  if (identity === undefined || folders === undefined) return null;
  const written = identity.istio_sds?.socket ?? identity.spiffe?.socket;
  const socket = written ?? process.env.SPIFFE_ENDPOINT_SOCKET;
  // Nobody is asked; it is said elsewhere.
  if (socket === undefined || socket === "") return null;
  // The control plane's own socket need not be told to whom it does not concern.
  const named = written ?? "$SPIFFE_ENDPOINT_SOCKET";
  return (await isSocketWithin(socketPath(socket), folders))
    ? null
    : `${named} is outside the folders that this group may use`;
}

/** Why a group may not ask this agent; null: it may. Over TCP it could itself; sockets are the control plane's machine's. */
async function refusedAgent(
  { kind, spec: { address } }: ResolverResource,
  bounds: GroupBounds,
): Promise<string | null> {
  const { folders } = bounds;
  if (kind !== "ConsulResolver" || address === undefined || folders === undefined) return null;
  if (isOperatorsAgent(address)) return null;
  const socket = agentSocket(address, consulEnvironment(address, bounds));
  if (socket === null || (await isSocketWithin(socket, folders))) return null;
  return `${address} is outside the folders that this group may use`;
}

async function isSocketWithin(socket: string, folders: readonly string[]): Promise<boolean> {
  // What may be a link that leads nowhere yet is not trusted; one that is not there at all is held to its folder.
  const isThere = await lstat(socket).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
  );
  const place = await placeWithin(isThere ? socket : dirname(socket), folders).catch(() => null);
  return place !== null;
}

const AGENT_REMEDY =
  "Have the group in the fleet's rules list the socket's folder under `files`, or name the agent by host and port.";
