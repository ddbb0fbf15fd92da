import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { packedTypes } from "../../protobuf/any.ts";
import { SCHEMAS, type XdsKind, type XdsResource } from "./resources.ts";

/** Resources for people to read: protobuf JSON as Envoy's documentation writes it, by kind, in the order of their names. */
export function renderResources(resources: readonly XdsResource[]): RenderedResources {
  const registry = packedTypes();
  const rendered: Partial<Record<XdsKind, Record<string, JsonValue>>> = {};
  for (const kind of Object.keys(SCHEMAS) as XdsKind[]) {
    const ofKind = resources.filter((resource) => resource.kind === kind);
    if (ofKind.length === 0) continue;
    ofKind.sort((a, b) => (a.name < b.name ? -1 : 1));
    rendered[kind] = Object.fromEntries(
      ofKind.map(({ name, message }) => [
        name,
        toJson(SCHEMAS[kind], message, { registry, useProtoFieldName: true }),
      ]),
    );
  }
  return rendered;
}

export type RenderedResources = Readonly<Partial<Record<XdsKind, Readonly<Record<string, JsonValue>>>>>;
