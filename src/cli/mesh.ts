import type { CredentialOrigin } from "../credentials/credential.ts";
import type { CredentialStore } from "../credentials/store.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import { identityName, type TlsIdentity } from "../resources/tls-identity.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface MeshContext {
  readonly store: CredentialStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Mesh {
  /** Told of each new ResourceSet before it is compiled. */
  follow(resources: ResourceSet): Promise<void>;
  stop(): void;
}

/** The meshes and issuers that resources may name, each a folder of mesh/. They know nothing of each other. */
export function wireMesh(_context: MeshContext): Mesh {
  const followers: readonly { follow(resources: ResourceSet): Promise<void>; stop(): void }[] = [];
  return {
    async follow(resources) {
      await Promise.all(followers.map((follower) => follower.follow(resources)));
    },
    stop() {
      for (const follower of followers) follower.stop();
    },
  };
}

/** What TLSContexts want issued, each once, with the first of those that want it. */
export function identitiesToFollow({
  tlsContexts,
}: ResourceSet): {
  readonly name: string;
  readonly identity: TlsIdentity;
  readonly origin: CredentialOrigin;
}[] {
  const wanted = new Map<string, { name: string; identity: TlsIdentity; origin: CredentialOrigin }>();
  for (const context of tlsContexts) {
    const { identity } = context.spec;
    if (identity === undefined || context.closedBy !== null) continue;
    const name = identityName(identity);
    const origin = { subject: subjectOf(context), source: positionOf(context, "identity") };
    if (!wanted.has(name)) wanted.set(name, { name, identity, origin });
  }
  return [...wanted.values()];
}
