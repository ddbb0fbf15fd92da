import type { GatewayModel } from "../../model/gateway.ts";
import type { XdsResource } from "./resources.ts";
import type { TranslationContext } from "./translation-context.ts";

/** CDS: the clusters of routes and TCP listeners, of the AuthService, and of the services beside the way. */
export function translateClusters(
  _model: GatewayModel,
  _context: TranslationContext,
): XdsResource<"cluster">[] {
  return [];
}
