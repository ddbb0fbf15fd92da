import type { JsonObject } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../../model/gateway.ts";
import type { TcpChain } from "../../../model/tcp.ts";
import { chainMetadata, type FilterChainInit } from "../filter-chains.ts";
import { acceptanceMetadata } from "../tls/acceptance.ts";
import type { TranslationContext } from "../translation-context.ts";
import { clusterGeneration } from "../upstream/generation.ts";

/**
 * The generations of what a chain's clusters present and trust, and whom it accepts. A connection of a TCPMapping has no requests after which it could
 * be left, and Envoy ends it only with its filter chain: one that differs replaces it, and its connections have Envoy's drain
 * time (10 minutes) to end by themselves.
 */
export function chainGeneration(
  { destinations, tls }: TcpChain,
  { clusters }: GatewayModel,
  context: TranslationContext,
): Pick<FilterChainInit, "metadata"> {
  const used = new Set(
    destinations.flatMap(({ action }) => (action.kind === "forward" ? [action.cluster] : [])),
  );
  const generations: JsonObject = {};
  // In the model's order, which is that of their names.
  for (const cluster of clusters) {
    const generation = used.has(cluster.name) ? clusterGeneration(cluster, context) : null;
    if (generation !== null) generations[cluster.name] = generation;
  }
  return chainMetadata({
    ...(Object.keys(generations).length === 0 ? {} : { generations }),
    ...acceptanceMetadata(tls, context.acceptance),
  });
}
