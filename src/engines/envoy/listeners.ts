import type { GatewayModel } from "../../model/gateway.ts";
import type { XdsResource } from "./resources.ts";
import type { TranslationContext } from "./translation-context.ts";

/** LDS: HTTP and TCP listeners. */
export function translateListeners(
  _model: GatewayModel,
  _context: TranslationContext,
): XdsResource<"listener">[] {
  return [];
}
