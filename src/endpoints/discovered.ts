import type { Cluster } from "../model/cluster.ts";
import type { Endpoint } from "./endpoint.ts";

/** Where a resolver's cluster may be reached. As long as nothing changes it is the same object. */
export interface Found {
  readonly endpoints: readonly Endpoint[];
  /** Why there are none, one clause; null: there are. */
  readonly missing: string | null;
}

/** What engines read of clusters that have a resolver. */
export interface DiscoveredEndpoints {
  /** By `endpointsName`. */
  find(name: string): Found;
  /** Told the names whose endpoints have changed. Returns the function that ends the subscription. */
  onChange(listener: (name: string) => void): () => void;
}

/** The name by which the store has the addresses of a cluster; null: DNS has them. */
export function endpointsName({ service, resolver }: Cluster): string | null {
  if (resolver === undefined) return null;
  if (resolver.kind !== "consul") return `kubernetes ${service.host}:${service.port}`;
  const { address, datacenter, tags } = resolver;
  return ["consul", address, datacenter, resolver.service, ...(tags ?? []).map((tag) => `tag=${tag}`)].join(
    " ",
  );
}

/** Where nothing is connected. */
export const NOTHING_DISCOVERED: DiscoveredEndpoints = {
  find: () => UNKNOWN,
  onChange: () => () => {},
};

/** Nobody has said anything yet. */
export const UNKNOWN: Found = { endpoints: [], missing: "nobody has told its addresses yet" };
