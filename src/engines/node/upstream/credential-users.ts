import type { CredentialChange, CredentialKind } from "../../../credentials/credential.ts";
import type { UpstreamCluster } from "./cluster.ts";

/** Whom a change of a credential concerns: of thousands of clusters few use the same one. */
export class CredentialUsers {
  readonly #clusters: ReadonlySet<UpstreamCluster>;
  /** By kind and name; null until the first change. */
  #users: Map<string, UpstreamCluster[]> | null = null;

  constructor(clusters: ReadonlySet<UpstreamCluster>) {
    this.#clusters = clusters;
  }

  of({ kind, name }: CredentialChange): readonly UpstreamCluster[] {
    this.#users ??= usersAmong(this.#clusters);
    return this.#users.get(`${kind} ${name}`) ?? [];
  }
}

const KINDS: readonly CredentialKind[] = ["credential", "trust", "crl"];

function usersAmong(clusters: Iterable<UpstreamCluster>): Map<string, UpstreamCluster[]> {
  const users = new Map<string, UpstreamCluster[]>();
  for (const cluster of clusters)
    for (const kind of KINDS) {
      const name = cluster.uses(kind);
      if (name === undefined) continue;
      const key = `${kind} ${name}`;
      const known = users.get(key);
      if (known === undefined) users.set(key, [cluster]);
      else known.push(cluster);
    }
  return users;
}
