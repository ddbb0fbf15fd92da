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

/** The order of lists. What they say decides only between two of one name, which are rare: it costs more than all the rest. */
export function byNamespaceAndName(a: Resource<string, unknown>, b: Resource<string, unknown>): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  const left = JSON.stringify(a.spec);
  const right = JSON.stringify(b.spec);
  return left < right ? -1 : left > right ? 1 : 0;
}
