import type { Revision } from "../../model/gateway.ts";
import type { HttpSettings } from "../../model/http.ts";
import { AddressFilter } from "./address-filter.ts";
import { Authorizer } from "./auth/authorizer.ts";
import { RouteTable } from "./route-table.ts";
import type { UpstreamCluster } from "./upstream/cluster.ts";
import { CredentialUsers } from "./upstream/credential-users.ts";
import { VirtualHostTable } from "./virtual-hosts.ts";

/** A revision made ready to serve: tables to look up in, clusters to dial. Requests take the plan that is current when they begin. */
export interface Plan {
  readonly revision: number;
  readonly settings: HttpSettings;
  readonly hosts: VirtualHostTable;
  readonly routes: RouteTable;
  /** Null: anybody may come in. */
  readonly addresses: AddressFilter | null;
  /** Null: nobody is asked. */
  readonly authorizer: Authorizer | null;
  readonly clusters: ReadonlyMap<string, UpstreamCluster>;
  readonly credentialUsers: CredentialUsers;
}

/**
 * Clusters that are configured as before are taken over with their connections; `retired` are those that nothing names
 * any more, for the caller to close once the plan is current.
 */
export function createPlan(
  revision: Revision,
  previous: Plan | null,
  createCluster: (config: UpstreamCluster["config"]) => UpstreamCluster,
): { plan: Plan; retired: readonly UpstreamCluster[] } {
  const { model } = revision;
  const clusters = new Map<string, UpstreamCluster>();
  for (const config of model.clusters) {
    const known = previous?.clusters.get(config.name);
    const same =
      known !== undefined &&
      (known.config === config || JSON.stringify(known.config) === JSON.stringify(config));
    clusters.set(config.name, same ? known : createCluster(config));
  }
  const kept = new Set(clusters.values());
  const retired = [...(previous?.clusters.values() ?? [])].filter((cluster) => !kept.has(cluster));
  const plan: Plan = {
    revision: revision.number,
    settings: model.http,
    hosts: new VirtualHostTable(model.virtualHosts),
    routes: new RouteTable(model.routes),
    addresses: model.http.addresses === undefined ? null : new AddressFilter(model.http.addresses),
    authorizer: model.authorization === undefined ? null : new Authorizer(model.authorization, clusters),
    clusters,
    credentialUsers: new CredentialUsers(kept),
  };
  return { plan, retired };
}
