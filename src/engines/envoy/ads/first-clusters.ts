import { fromBinary } from "@bufbuild/protobuf";
import {
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { Clock } from "../../../telemetry/clock.ts";
import type { EncodedResource } from "./snapshot.ts";

export interface FirstClustersOptions {
  readonly clock: Clock;
  /** What the client should have now. */
  readonly clusters: () => Iterable<EncodedResource>;
  /** These are to be taken from the client, until `onListenersAsked`. */
  readonly onWithheld: (names: readonly string[]) => void;
}

/**
 * Envoy asks for listeners once each of its first clusters has addresses or was given up: a DNS server that is silent about one name
 * would keep everything from being served for as long as c-ares tries. So who has its clusters and does not ask is given
 * a moment, and then loses those that wait for DNS: they come again with the listeners, and warm beside what is served.
 */
export class FirstClusters {
  readonly #options: FirstClustersOptions;
  #withheld: ReadonlySet<string> = NONE;
  #cancel: () => void = () => undefined;
  #isOver = false;

  constructor(options: FirstClustersOptions) {
    this.#options = options;
  }

  isWithheld(name: string): boolean {
    return this.#withheld.has(name);
  }

  get hasWithheld(): boolean {
    return this.#withheld.size > 0;
  }

  /** The client has all of them. */
  onAcknowledged(): void {
    if (this.#isOver) return;
    this.#cancel();
    const waiting = [...this.#options.clusters()].filter((cluster) => awaitsDns(cluster));
    const names = waiting.map(({ name }) => name).filter((name) => !this.#withheld.has(name));
    if (names.length === 0) return;
    const patience = Math.min(LONGEST_WAIT_MS, WAIT_MS + names.length * EACH_MS);
    this.#cancel = this.#options.clock.after(patience, () => {
      this.#withheld = new Set([...this.#withheld, ...names]);
      this.#options.onWithheld(names);
    });
  }

  /** Its first clusters are behind it. What it is to be sent again. */
  onListenersAsked(): ReadonlySet<string> {
    const withheld = this.#withheld;
    this.close();
    return withheld;
  }

  close(): void {
    this.#isOver = true;
    this.#cancel();
    this.#withheld = NONE;
  }
}

/** Of routes alone: a listener whose filters name a cluster that is not there would be refused. */
function awaitsDns({ bytes, from }: EncodedResource): boolean {
  if (!from.every((user) => /^(?:tcp)?mapping\/|^tlscontext\//.test(user))) return false;
  const { clusterDiscoveryType } = fromBinary(ClusterSchema, bytes);
  return clusterDiscoveryType.case === "type" && BY_DNS.has(clusterDiscoveryType.value);
}

const BY_DNS = new Set([Cluster_DiscoveryType.STRICT_DNS, Cluster_DiscoveryType.LOGICAL_DNS]);
const NONE: ReadonlySet<string> = new Set();
/** Longer than name servers take that answer. */
const WAIT_MS = 1_000;
const EACH_MS = 2;
/** By then c-ares is about to give up by itself (process/bootstrap.ts). */
const LONGEST_WAIT_MS = 4_000;
