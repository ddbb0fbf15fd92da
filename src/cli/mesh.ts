import { hostname } from "node:os";
import type { CredentialOrigin } from "../credentials/credential.ts";
import type { Follower } from "../credentials/follower.ts";
import type { CredentialStore } from "../credentials/store.ts";
import { resolversByName } from "../resources/resolver.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import {
  CONSUL_SERVICE,
  ISTIO_CA,
  ISTIO_CERTIFICATE,
  identityName,
  socketPath,
  type TlsIdentity,
} from "../resources/tls-identity.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { boundedDial } from "./bounded-dial.ts";
import { consulAsking } from "./consul-asking.ts";
import type { GroupBounds } from "./group-bounds.ts";
import { lazyFollower } from "./lazy-follower.ts";

export interface MeshContext {
  readonly store: CredentialStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Absent: none. */
  readonly bounds?: GroupBounds;
}

export interface Mesh {
  /** Told of each new ResourceSet before it is compiled. What serves may still need what this one does not name. */
  follow(resources: ResourceSet): Promise<void>;
  /** What was compiled last serves: identities that only earlier resources named are withdrawn. */
  settle(): void;
  stop(): void;
}

/** The meshes and issuers that resources may name, each a folder of mesh/. They know nothing of each other. */
export function wireMesh({ store, clock, bounds = {} }: MeshContext): Mesh {
  const followers: readonly Mesh[] = [
    meshOf(spiffeWanted(bounds), async () =>
      (await import("../mesh/spiffe/follower.ts")).createSpiffeFollower(store, clock),
    ),
    meshOf(istioWanted(bounds), async () =>
      (await import("../mesh/istio/follower.ts")).createIstioFollower(store, clock, istioNodeId()),
    ),
    meshOf(consulWanted(bounds), async () =>
      (await import("../mesh/consul/connect.ts")).createConsulConnect(store, clock),
    ),
  ];
  return {
    async follow(resources) {
      await Promise.all(followers.map((follower) => follower.follow(resources)));
    },
    settle() {
      for (const follower of followers) follower.settle();
    },
    stop() {
      for (const follower of followers) follower.stop();
    },
  };
}

function meshOf<Wanted extends { readonly name: string }>(
  wantedOf: (resources: ResourceSet) => readonly Wanted[],
  load: () => Promise<Follower<Wanted>>,
): Mesh {
  const { follow, settle, stop } = lazyFollower(load);
  return { follow: (resources) => follow(wantedOf(resources)), settle, stop };
}

/** What TLSContexts want issued, each once, with the first of those that want it. */
function identitiesToFollow({ tlsContexts }: ResourceSet): {
  readonly name: string;
  readonly identity: TlsIdentity;
  readonly origin: CredentialOrigin;
}[] {
  const wanted = new Map<string, { name: string; identity: TlsIdentity; origin: CredentialOrigin }>();
  for (const context of tlsContexts) {
    const { identity } = context.spec;
    if (identity === undefined || context.closedBy !== null) continue;
    const name = identityName(identity);
    const origin = {
      subject: context.writtenIn ?? subjectOf(context),
      source: positionOf(context, "identity"),
    };
    if (!wanted.has(name)) wanted.set(name, { name, identity, origin });
  }
  return [...wanted.values()];
}

function spiffeWanted(bounds: GroupBounds) {
  const dial = boundedDial(bounds);
  return (resources: ResourceSet) =>
    identitiesToFollow(resources).flatMap(({ name, origin, identity: { spiffe } }) => {
      if (spiffe === undefined) return [];
      const { id, hint, federated = [] } = spiffe;
      const written = spiffe.socket ?? process.env.SPIFFE_ENDPOINT_SOCKET ?? "";
      const socket = /^(?:unix:(?:\/\/)?)?\//.test(written) ? socketPath(written) : undefined;
      return [{ name, origin, socket, dial, id, hint, federated }];
    });
}

function istioWanted(bounds: GroupBounds) {
  const dial = boundedDial(bounds);
  return (resources: ResourceSet) =>
    identitiesToFollow(resources).flatMap(({ name, origin, identity: { istio_sds } }) => {
      if (istio_sds === undefined) return [];
      const { socket, certificate = ISTIO_CERTIFICATE, ca = ISTIO_CA } = istio_sds;
      return [{ name, origin, socket: socketPath(socket), dial, certificate, ca }];
    });
}

function consulWanted(bounds: GroupBounds) {
  return (resources: ResourceSet) => {
    const resolvers = resolversByName(resources.resolvers);
    return identitiesToFollow(resources).flatMap(({ name, origin, identity: { consul } }) => {
      if (consul === undefined) return [];
      const { resolver, service = CONSUL_SERVICE } = consul;
      const found = resolvers.get(resolver);
      const address =
        found?.kind === "ConsulResolver" && found.closedBy === null ? found.spec.address : undefined;
      const asking = consulAsking(address ?? "", bounds);
      return [{ name, origin, address, service, ...asking }];
    });
  };
}

/** `type~address~pod.namespace~domain`, as Istio's proxies call themselves; its agent puts it into its log. */
function istioNodeId(): string {
  const { INSTANCE_IP = "127.0.0.1", POD_NAME = hostname(), POD_NAMESPACE = "default" } = process.env;
  return `router~${INSTANCE_IP}~${POD_NAME}.${POD_NAMESPACE}~${POD_NAMESPACE}.svc.cluster.local`;
}
