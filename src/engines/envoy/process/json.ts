/** Configuration as Envoy reads it from a file. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

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

/** A map, neither null nor a list. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
