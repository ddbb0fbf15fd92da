import type { TcpDestination } from "../../../model/tcp.ts";

/** A destination that fails closed leads to a cluster that there never is: Envoy closes the connection. */
export function clusterOf({ name, action }: TcpDestination): string {
  return action.kind === "forward" ? action.cluster : `closed ${action.code} ${name}`;
}
