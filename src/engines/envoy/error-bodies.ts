import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { GatewayModel } from "../../model/gateway.ts";
import type { ErrorResponse } from "../../model/route.ts";
import { pack } from "../../protobuf/any.ts";
import {
  LuaPerRouteSchema,
  LuaSchema,
} from "../../protobuf/generated/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { errorBodyScript } from "./error-body-script.ts";

const FILTER = "credence.error_bodies";

/**
 * The filter that replaces error bodies (`error_response_overrides`), of upstreams and of the gateway: a script, as the
 * custom_response filter drops all headers of the response that it replaces, and quotes nothing. None where nobody asks.
 */
export function errorBodyFilters(model: GatewayModel): MessageInitShape<typeof HttpFilterSchema>[] {
  const lists = listsOf(model);
  if (lists.size === 0 && model.http.errorResponses === undefined) return [];
  const { errorResponses } = model.http;
  const sourceCodes: Record<string, { specifier: { case: "inlineString"; value: string } }> = {};
  for (const [name, list] of [...lists].sort(([a], [b]) => (a < b ? -1 : 1)))
    sourceCodes[name] = inline(errorBodyScript(list, { ownOnly: false }));
  const lua = create(LuaSchema, {
    sourceCodes,
    // Of responses that no route made; routes have their own.
    ...(errorResponses === undefined
      ? {}
      : { defaultSourceCode: inline(errorBodyScript(errorResponses, { ownOnly: true })) }),
  });
  return [{ name: FILTER, configType: { case: "typedConfig", value: pack(LuaSchema, lua) } }];
}

/** `typed_per_filter_config` of a route: scripts go by name, and are the same for all routes that say the same. */
export function errorBodiesOf(
  responses: readonly ErrorResponse[] | undefined,
  model: GatewayModel,
): Readonly<Record<string, Any>> {
  if (responses === undefined && model.http.errorResponses === undefined) return {};
  const override =
    responses === undefined
      ? { case: "disabled" as const, value: true }
      : { case: "name" as const, value: scriptName(responses) };
  return { [FILTER]: pack(LuaPerRouteSchema, create(LuaPerRouteSchema, { override })) };
}

function listsOf({ routes }: GatewayModel): Map<string, readonly ErrorResponse[]> {
  const lists = new Map<string, readonly ErrorResponse[]>();
  for (const { errorResponses } of routes)
    if (errorResponses !== undefined) lists.set(scriptName(errorResponses), errorResponses);
  return lists;
}

/** Lists are part of a model, and most routes have the Module's. */
const names = new WeakMap<readonly ErrorResponse[], string>();

function scriptName(responses: readonly ErrorResponse[]): string {
  const known = names.get(responses);
  if (known !== undefined) return known;
  const name = createHash("sha256").update(JSON.stringify(responses)).digest("hex").slice(0, 16);
  names.set(responses, name);
  return name;
}

function inline(value: string): { specifier: { case: "inlineString"; value: string } } {
  return { specifier: { case: "inlineString", value } };
}
