import type { TcpDestination } from "../../../model/tcp.ts";

/** A destination that fails closed leads to a cluster that there never is: Envoy closes the connection. */
export function clusterOf({ name, action }: TcpDestination): string {
  return action.kind === "forward" ? action.cluster : `closed ${action.code} ${name}`;
}

/** The diagnostic's code, of a name of a cluster that there never is; null: it is that of one that there is, or may be. */
export function closedBecause(cluster: string): string | null {
  return /^closed (\S+) /.exec(cluster)?.[1] ?? null;
}
