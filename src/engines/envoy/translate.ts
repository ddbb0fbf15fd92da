import type { GatewayModel } from "../../model/gateway.ts";
import { clustersOf, translateClusters } from "./clusters.ts";
import { translateListeners } from "./listeners.ts";
import { translateRouteConfigurations } from "./route-configurations.ts";
import type { XdsKind, XdsResource } from "./resources.ts";
import type { TranslationContext } from "./translation-context.ts";
import type { TranslationMemory } from "./translation-memory.ts";
import { loadAssignments } from "./upstream/load-assignment.ts";

/**
 * The model in Envoy's words, secrets excepted: they go by name (secrets.ts). Pure: the same model gives the same messages
 * in the same order, whatever `memory` holds of models before. The parts stand in the order in which Envoy must learn of them (make before break).
 */
export function translate(
  model: GatewayModel,
  context: TranslationContext,
  memory?: TranslationMemory,
): XdsResource[] {
  return parts(model, context, memory).flat();
}

/** The same by kind. Clusters of which nothing has changed are the list that they were: nobody need go through it. */
export function translateByKind(
  model: GatewayModel,
  context: TranslationContext,
  memory?: TranslationMemory,
): Map<XdsKind, readonly XdsResource[]> {
  const [clusters, endpoints, listeners, routes] = parts(model, context, memory);
  return new Map<XdsKind, readonly XdsResource[]>([
    ["cluster", clusters],
    ["endpoints", endpoints],
    ["listener", listeners],
    ...Map.groupBy(routes, ({ kind }) => kind),
  ]);
}

type Part = readonly XdsResource[];

function parts(
  model: GatewayModel,
  context: TranslationContext,
  memory?: TranslationMemory,
): readonly [clusters: Part, endpoints: Part, listeners: Part, routes: Part] {
  return [
    // Clusters first: routes and listeners name them.
    translateClusters(model, context, memory),
    // Their addresses: a cluster warms until it has them.
    loadAssignments(clustersOf(model), context, memory),
    // Listeners next: their route configurations are asked for by them.
    translateListeners(model, context),
    // Route configurations and their virtual hosts.
    translateRouteConfigurations(model, context, memory),
  ];
}
