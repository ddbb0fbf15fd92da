import { create } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../model/gateway.ts";
import { ApiVersion } from "../../protobuf/generated/envoy/config/core/v3/config_source_pb.js";
import { RouteConfigurationSchema } from "../../protobuf/generated/envoy/config/route/v3/route_pb.js";
import { resource, type XdsResource } from "./resources.ts";
import { routeScopes } from "./route-scopes.ts";
import type { TranslationContext } from "./translation-context.ts";
import { TranslationMemory } from "./translation-memory.ts";
import { MAX_ROUTES, virtualHosts } from "./virtual-hosts.ts";

/** RDS and VHDS: one route configuration a scope (route-scopes.ts), its virtual hosts as resources of their own. */
export function translateRouteConfigurations(
  model: GatewayModel,
  context: TranslationContext,
  memory: TranslationMemory = new TranslationMemory(),
): XdsResource<"route-configuration" | "virtual-host">[] {
  const port = httpsPort(model, context);
  memory.begin(JSON.stringify([model.http, model.authorization, model.outside, port]));
  return routeScopes(model).flatMap((scope) => [
    resource("route-configuration", scope.name, routeConfiguration(scope.name), []),
    ...virtualHosts(scope, model, port, MAX_ROUTES, memory),
  ]);
}

function routeConfiguration(name: string): ReturnType<typeof create<typeof RouteConfigurationSchema>> {
  return create(RouteConfigurationSchema, {
    name,
    vhds: {
      configSource: { configSourceSpecifier: { case: "ads", value: {} }, resourceApiVersion: ApiVersion.V3 },
    },
    // A host's policy holds on each of its ports; routes that write one compare it themselves.
    ignorePortInHostMatching: true,
    // What a route sets stands, whatever is removed from all requests.
    mostSpecificHeaderMutationsWins: true,
  });
}

/** Where redirects to https go. */
function httpsPort({ listeners }: GatewayModel, { ports }: TranslationContext): number | null {
  const https = listeners.find(({ name }) => name === "https");
  return https === undefined ? null : (ports.get("https") ?? https.port);
}
