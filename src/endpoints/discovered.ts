import { isIP } from "node:net";
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

/**
 * The name by which whoever asks DNS for an engine (name-watch.ts) has the addresses of a cluster; null: it is an address
 * itself, or has a resolver.
 */
export function namedEndpoints(cluster: Cluster): string | null {
  const known = NAMED.get(cluster);
  if (known !== undefined) return known;
  const name = nameOf(cluster);
  NAMED.set(cluster, name);
  return name;
}

/** All clusters are gone through for each address that changes. */
const NAMED = new WeakMap<Cluster, string | null>();

function nameOf({ service, resolver, dns }: Cluster): string | null {
  if (resolver !== undefined || isIP(service.host) !== 0) return null;
  const settings = [dns?.family, dns?.respectTtl && "ttl", dns?.logical && "logical"].filter(Boolean);
  return ["dns", `${service.host}:${service.port}`, ...settings].join(" ");
}

/** Names of both kinds, each found where it is known. */
export function joinedEndpoints(
  discovered: DiscoveredEndpoints,
  named: DiscoveredEndpoints,
): DiscoveredEndpoints {
  return {
    find: (name) => (name.startsWith("dns ") ? named : discovered).find(name),
    onChange(listener) {
      const ends = [discovered.onChange(listener), named.onChange(listener)];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

/** Where nothing is connected. */
export const NOTHING_DISCOVERED: DiscoveredEndpoints = {
  find: () => UNKNOWN,
  onChange: () => () => {},
};

/** Nobody has said anything yet. */
export const UNKNOWN: Found = { endpoints: [], missing: "nobody has told its addresses yet" };
