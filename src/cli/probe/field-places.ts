import type { SourcePosition } from "../../diagnostics/diagnostic.ts";
import { Places } from "../explain/places.ts";
import type { LoadedGateway } from "../load.ts";

/** Where a field of an object stands, by the model's name for the object; the object itself where it is not written. */
export function fieldPlaces(gateway: LoadedGateway): (object: string, field: string) => string | null {
  const places = new Places(gateway);
  const fields = new Map<string, ReadonlyMap<string, SourcePosition>>();
  for (const list of Object.values(gateway.resources) as readonly (readonly Placed[])[])
    for (const { kind, namespace, name, raw } of list)
      fields.set(`${kind.toLowerCase()}/${namespace}/${name}`, raw.fields);
  return (object, field) => {
    const at = fields.get(object)?.get(`spec.${field}`);
    return at === undefined ? places.of(object) : `${at.file}:${at.line}`;
  };
}

interface Placed {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly raw: { readonly fields: ReadonlyMap<string, SourcePosition> };
}
