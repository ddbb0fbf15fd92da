import { isIP } from "node:net";
import { addressText } from "../model/address.ts";
import type { Cluster } from "../model/cluster.ts";

/** What Linkerd routes by (`l5d-dst-override`): the full name of the service in its namespace, and the port that is dialled. */
export function linkerdDestination({ service: { host, port } }: Cluster, namespace: string): string {
  if (isIP(host) !== 0) return addressText(host, port);
  return `${fullName(host, namespace)}:${port}`;
}

/** Linkerd knows services by their full names alone. `a.b` may be a host anywhere, but for `b` the own namespace. */
function fullName(host: string, namespace: string): string {
  const [name = "", ...rest] = host.split(".");
  const isService = rest.length === 0 ? host !== "localhost" : rest.length === 1 && rest[0] === namespace;
  return isService ? `${name}.${namespace}.svc.cluster.local` : host;
}
