import { parseObject } from "../../../src/resources/envelope.ts";
import type { AnyResource } from "../../../src/resources/kinds.ts";
import { createResourceSet, type ResourceSet } from "../../../src/resources/resource-set.ts";

/** Mappings `name: prefix`, as if read from a file. */
export function mappings(prefixes: Readonly<Record<string, string>>): ResourceSet {
  const objects: AnyResource[] = [];
  for (const [name, prefix] of Object.entries(prefixes)) {
    const value = {
      apiVersion: "getambassador.io/v2",
      kind: "Mapping",
      metadata: { name },
      spec: { prefix, service: "localhost:1" },
    };
    const raw = { value, source: { file: "a.yaml", line: 1, column: 1 }, fields: new Map() };
    const { resource } = parseObject(raw, "default");
    if (resource !== null) objects.push(resource);
  }
  return createResourceSet(objects).resources;
}
