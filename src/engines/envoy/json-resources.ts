import { type Registry, toJson } from "@bufbuild/protobuf";
import { SCHEMAS, type XdsResource } from "./resources.ts";
import type { Json, JsonObject } from "./process/bootstrap.ts";

/** The resource as protobuf JSON, Anys opened. */
export function resourceJson({ kind, message }: XdsResource, registry: Registry): JsonObject {
  return toJson(SCHEMAS[kind], message, { registry }) as JsonObject;
}

/**
 * The value with each object in it replaced by what `change` makes of it, innermost first; its second argument is the key it
 * stands under (of a list: the list's).
 */
export function mapObjects(
  value: Json,
  change: (object: JsonObject, key: string) => JsonObject,
  key = "",
): Json {
  if (Array.isArray(value)) return value.map((item: Json) => mapObjects(item, change, key));
  if (typeof value !== "object" || value === null) return value;
  const mapped = Object.entries(value).map(([name, inner]): [string, Json] => [
    name,
    mapObjects(inner as Json, change, name),
  ]);
  return change(Object.fromEntries(mapped), key);
}
