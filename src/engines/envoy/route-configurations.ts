import type { GatewayModel } from "../../model/gateway.ts";
import type { XdsResource } from "./resources.ts";
import type { TranslationContext } from "./translation-context.ts";

/** RDS and VHDS: one route configuration a scope (route-scopes.ts), its virtual hosts as resources of their own. */
export function translateRouteConfigurations(
  _model: GatewayModel,
  _context: TranslationContext,
): XdsResource<"route-configuration" | "virtual-host">[] {
  return [];
}
