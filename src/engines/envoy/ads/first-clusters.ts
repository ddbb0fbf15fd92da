import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { Clock } from "../../../telemetry/clock.ts";
import { ClusterLoadAssignmentSchema } from "../../../protobuf/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { resource } from "../resources.ts";
import { encode, type EncodedResource } from "./encoded.ts";

export interface FirstClustersOptions {
  readonly clock: Clock;
  /** What the client should have now. */
  readonly clusters: () => Iterable<EncodedResource>;
  /** These are to be taken from the client, or given to it without an address, until `onListenersAsked`. */
  readonly onWithheld: (names: readonly string[]) => void;
}

/**
 * Envoy asks for listeners once each of its first clusters has addresses or was given up: a DNS server that is silent about one name
 * would keep everything from being served for as long as c-ares tries. So who has its clusters and does not ask is given
 * a moment, and then loses those that wait for DNS: they come again with the listeners, and warm beside what is served. If that does not
 * help, those that a filter names have a stand-in without an address meanwhile: their listener would be refused without them.
 */
export class FirstClusters {
  readonly #options: FirstClustersOptions;
  /** With what is sent in its place; null: nothing. */
  #withheld: ReadonlyMap<string, EncodedResource | null> = NONE;
  #cancel: () => void = () => undefined;
  #isOver = false;

  constructor(options: FirstClustersOptions) {
    this.#options = options;
  }

  /** What the client is to have by that name: null for nothing, undefined where it is no other than that of all. */
  insteadOf(name: string): EncodedResource | null | undefined {
    return this.#withheld.get(name);
  }

  get hasWithheld(): boolean {
    return this.#withheld.size > 0;
  }

  /** The client has all of them. */
  onAcknowledged(): void {
    if (this.#isOver) return;
    this.#cancel();
    const left = [...this.#options.clusters()].filter(({ name }) => !this.#withheld.has(name));
    const ofRoutes = withhold(left.filter(({ from }) => isOfRoutes(from)));
    const waiting = ofRoutes.length > 0 ? ofRoutes : withhold(left);
    if (waiting.length === 0) return;
    const patience = Math.min(LONGEST_WAIT_MS, WAIT_MS + waiting.length * EACH_MS);
    this.#cancel = this.#options.clock.after(patience, () => {
      this.#withheld = new Map([...this.#withheld, ...waiting]);
      this.#options.onWithheld(waiting.map(([name]) => name));
    });
  }

  /** Its first clusters are behind it. What it is to be sent again. */
  onListenersAsked(): ReadonlySet<string> {
    const withheld = new Set(this.#withheld.keys());
    this.close();
    return withheld;
  }

  close(): void {
    this.#isOver = true;
    this.#cancel();
    this.#withheld = NONE;
  }
}

/** Those that wait for DNS, each with what is sent in its place. */
function withhold(clusters: readonly EncodedResource[]): [string, EncodedResource | null][] {
  return clusters.flatMap(({ name, from, bytes }): [string, EncodedResource | null][] => {
    const cluster = fromBinary(ClusterSchema, bytes);
    return awaitsDns(cluster) ? [[name, isOfRoutes(from) ? null : standIn(cluster, from)]] : [];
  });
}

/** A route to a cluster that is not there answers 503; a listener whose filters name one would be refused. */
function isOfRoutes(from: readonly string[]): boolean {
  return from.every((user) => /^(?:tcp)?mapping\/|^tlscontext\//.test(user));
}

/** The cluster, and nobody to dial. */
function standIn(cluster: Cluster, from: readonly string[]): EncodedResource {
  const { name } = cluster;
  cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType.STATIC };
  cluster.loadAssignment = create(ClusterLoadAssignmentSchema, { clusterName: name });
  cluster.dnsFailureRefreshRate = undefined;
  cluster.respectDnsTtl = false;
  return encode(resource("cluster", name, cluster, from));
}

function awaitsDns({ clusterDiscoveryType }: Cluster): boolean {
  return clusterDiscoveryType.case === "type" && BY_DNS.has(clusterDiscoveryType.value);
}

const BY_DNS = new Set([Cluster_DiscoveryType.STRICT_DNS, Cluster_DiscoveryType.LOGICAL_DNS]);
const NONE: ReadonlyMap<string, null> = new Map();
/** Longer than name servers take that answer. */
const WAIT_MS = 1_000;
const EACH_MS = 2;
/** By then c-ares is about to give up by itself (process/bootstrap.ts). */
const LONGEST_WAIT_MS = 4_000;
