import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { endpointsName, NOTHING_DISCOVERED } from "../../../endpoints/discovered.ts";
import type { Endpoint } from "../../../endpoints/endpoint.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { ClusterLoadAssignmentSchema } from "../../../protobuf/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { resource, type XdsResource } from "../resources.ts";
import type { TranslationContext } from "../translation-context.ts";
import { generationKey } from "./generation.ts";

/** EDS: the addresses of each cluster with a resolver, none included: Envoy would wait for what nobody sends. */
export function loadAssignments(
  clusters: readonly Cluster[],
  context: TranslationContext,
): XdsResource<"endpoints">[] {
  const { discovered = NOTHING_DISCOVERED } = context;
  return clusters.flatMap((cluster) => {
    const known = endpointsName(cluster);
    const name = assignmentName(cluster, context);
    if (known === null || name === null) return [];
    const lbEndpoints = discovered.find(known).endpoints.map(lbEndpoint);
    const message = create(ClusterLoadAssignmentSchema, { clusterName: name, endpoints: [{ lbEndpoints }] });
    return [resource("endpoints", name, message, [])];
  });
}

/**
 * The name by which EDS has a cluster's addresses; null: they are its own or DNS has them. A cluster that changes is warmed
 * beside the one that serves, and waits for its addresses: under a name that is asked for already Envoy asks for nothing, and
 * would swap in a cluster without any. So each state of a cluster has a name of its own.
 */
export function assignmentName(cluster: Cluster, context: TranslationContext): string | null {
  const name = endpointsName(cluster);
  if (name === null) return null;
  const state = JSON.stringify(cluster) + generationKey(cluster, context);
  return `${name} ${createHash("sha256").update(state).digest("base64url").slice(0, 12)}`;
}

function lbEndpoint({ address, port, weight }: Endpoint) {
  const socketAddress = { address, portSpecifier: { case: "portValue" as const, value: port } };
  const endpoint = { address: { address: { case: "socketAddress" as const, value: socketAddress } } };
  return {
    hostIdentifier: { case: "endpoint" as const, value: endpoint },
    ...(weight === undefined ? {} : { loadBalancingWeight: weight }),
  };
}
