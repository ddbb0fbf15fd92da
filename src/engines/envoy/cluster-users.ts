import type { GatewayModel } from "../../model/gateway.ts";
import type { Destination, Route } from "../../model/route.ts";
import type { TcpDestination } from "../../model/tcp.ts";
import { unlikeRoutes } from "./unlike-routes.ts";

/** Names of Mappings and so on, sorted, by the cluster that they use: what hears of it when Envoy refuses the cluster. */
export interface Users {
  readonly byCluster: ReadonlyMap<string, readonly string[]>;
}

/** Users of one model's clusters after the other's: of models that differ in a few routes only the clusters of these are looked at. */
export class ClusterUsers {
  #last: {
    routes: readonly Route[];
    beside: string;
    byCluster: Map<string, readonly string[]>;
    users: Users;
  } | null = null;

  /** The same object as the last time, if nothing has changed; what it holds is of the last call. */
  of(model: GatewayModel): Users {
    const { tcpListeners, authorization, outside, routes } = model;
    const beside = JSON.stringify([tcpListeners, authorization?.services, outside]);
    const last = this.#last;
    if (last === null || last.beside !== beside) {
      const byCluster = usersOf(model, null);
      const users = { byCluster };
      this.#last = { routes, beside, byCluster, users };
      return users;
    }
    const touched = new Set(
      unlikeRoutes(last.routes, routes)
        .flatMap(usesOf)
        .map(([cluster]) => cluster),
    );
    last.routes = routes;
    if (touched.size === 0) return last.users;
    const now = usersOf(model, touched);
    for (const cluster of touched) {
      const users = now.get(cluster);
      if (users === undefined) last.byCluster.delete(cluster);
      else last.byCluster.set(cluster, users);
    }
    last.users = { byCluster: last.byCluster };
    return last.users;
  }
}

/** `only`: those of these clusters; null: of all. */
function usersOf(model: GatewayModel, only: ReadonlySet<string> | null): Map<string, readonly string[]> {
  const users = new Map<string, string[]>();
  const add = ([cluster, user]: Use): void => {
    if (only !== null && !only.has(cluster)) return;
    const found = users.get(cluster);
    if (found === undefined) users.set(cluster, [user]);
    else found.push(user);
  };
  for (const route of model.routes) for (const use of usesOf(route)) add(use);
  for (const { chains } of model.tcpListeners ?? [])
    for (const { destinations } of chains) for (const use of forwards(destinations)) add(use);
  for (const { name, cluster } of model.authorization?.services ?? []) add([cluster, name]);
  for (const { name, cluster } of model.outside ?? []) add([cluster.name, name]);
  for (const [cluster, names] of users) if (names.length > 1) users.set(cluster, [...new Set(names)].sort());
  return users;
}

type Use = readonly [cluster: string, user: string];

function usesOf(route: Route): readonly Use[] {
  let uses = USES.get(route);
  if (uses === undefined) {
    const { destinations, mirror } = route;
    uses = forwards(mirror === undefined ? destinations : [...destinations, mirror]);
    USES.set(route, uses);
  }
  return uses;
}

function forwards(destinations: readonly Pick<Destination | TcpDestination, "name" | "action">[]): Use[] {
  return destinations.flatMap(({ name, action }) =>
    action.kind === "forward" ? [[action.cluster, name] as const] : [],
  );
}

const USES = new WeakMap<Route, readonly Use[]>();
