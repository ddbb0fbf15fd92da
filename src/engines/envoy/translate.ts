import type { GatewayModel } from "../../model/gateway.ts";
import { clustersOf, translateClusters } from "./clusters.ts";
import { translateListeners } from "./listeners.ts";
import { translateRouteConfigurations } from "./route-configurations.ts";
import type { XdsResource } from "./resources.ts";
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
  return [
    // Clusters first: routes and listeners name them.
    ...translateClusters(model, context, memory),
    // Their addresses: a cluster warms until it has them.
    ...loadAssignments(clustersOf(model), context, memory),
    // Listeners next: their route configurations are asked for by them.
    ...translateListeners(model, context),
    // Route configurations and their virtual hosts.
    ...translateRouteConfigurations(model, context, memory),
  ];
}
