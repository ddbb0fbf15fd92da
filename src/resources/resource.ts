import type { SourcePosition, Subject } from "../diagnostics/diagnostic.ts";

/** A document as a source found it: its value, and where it and its fields stand. */
export interface RawObject {
  readonly value: unknown;
  readonly source: SourcePosition;
  /**
   * Positions of keys, by path: `kind`, `metadata.name`, `spec.tls`. Where the value is a block literal, the `|` at which
   * it begins is at the path with a `|` behind it.
   */
  readonly fields: ReadonlyMap<string, SourcePosition>;
}

/** A parsed object of one kind. */
export interface Resource<Kind extends string, Spec> {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly spec: Spec;
  readonly raw: RawObject;
}

/** How diagnostics name an object. */
export function subjectOf(resource: { kind: string; namespace: string; name: string }): Subject {
  return { kind: resource.kind, namespace: resource.namespace, name: resource.name };
}

/** Where a field of the spec stands; the object itself where the field is not written. */
export function positionOf(resource: { raw: RawObject }, field: string): SourcePosition {
  return resource.raw.fields.get(`spec.${field}`) ?? resource.raw.source;
}
