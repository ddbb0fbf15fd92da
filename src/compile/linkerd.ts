import { isIP } from "node:net";
import type { Cluster } from "../model/cluster.ts";

/** What Linkerd routes by (`l5d-dst-override`): the full name of the service in its namespace, and the port that is dialled. */
export function linkerdDestination({ service: { host, port } }: Cluster, namespace: string): string {
  if (isIP(host) !== 0) return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  const name = host.includes(".") || host === "localhost" ? host : `${host}.${namespace}.svc.cluster.local`;
  return `${name}:${port}`;
}
