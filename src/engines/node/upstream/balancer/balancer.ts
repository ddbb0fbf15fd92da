import type { Cluster } from "../../../../model/cluster.ts";
import type { UpstreamHost } from "../host.ts";
import { LeastRequest } from "./least-request.ts";
import { Maglev } from "./maglev.ts";
import { RingHash } from "./ring-hash.ts";
import { RoundRobin } from "./round-robin.ts";

/** Chooses among the hosts of a cluster. */
export interface Balancer {
  /** Whom to choose from; called whenever they change. */
  update(hosts: readonly UpstreamHost[]): void;
  /** One of them, of which there is at least one. `hash`: 32 bits of what the request is to stay with, null without. */
  pick(hash: number | null): UpstreamHost;
}

/** One without hosts yet; undefined is round robin. */
export function createBalancer(kind: Cluster["balancer"]): Balancer {
  switch (kind) {
    case "least-request":
      return new LeastRequest();
    case "ring-hash":
      return new RingHash();
    case "maglev":
      return new Maglev();
    default:
      return new RoundRobin();
  }
}
