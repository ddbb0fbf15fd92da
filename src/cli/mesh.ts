import type { CredentialStore } from "../credentials/store.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
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
