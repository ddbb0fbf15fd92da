/** What of a TypeBox schema pages and CRDs are made of: JSON Schema, with the options of src/resources/field-doc.ts. */
export interface FieldSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly FieldSchema[];
  readonly items?: FieldSchema;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly patternProperties?: Readonly<Record<string, FieldSchema>>;
  readonly additionalProperties?: boolean | FieldSchema;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  /** The type in words. */
  readonly description?: string;
  readonly does?: string;
  readonly byDefault?: string;
  readonly examples?: readonly unknown[];
  readonly note?: string;
}

/** The schema of a map's values, where its names are free. */
export function valueSchema({
  patternProperties,
  additionalProperties,
}: FieldSchema): FieldSchema | undefined {
  const [byPattern] = Object.values(patternProperties ?? {});
  return byPattern ?? (typeof additionalProperties === "object" ? additionalProperties : undefined);
}

/** The fields of a block, or of the blocks in a list or among alternatives; undefined where there are none. */
export function nestedFields(schema: FieldSchema): Pick<FieldSchema, "properties" | "required"> | undefined {
  if (schema.properties !== undefined) return schema;
  const inner = schema.items ?? valueSchema(schema);
  if (inner !== undefined) return nestedFields(inner);
  const found = (schema.anyOf ?? []).map(nestedFields).filter((each) => each !== undefined);
  if (found.length === 0) return undefined;
  // A field that only some of the alternatives have is required in none.
  const required = (found[0]?.required ?? []).filter((name) =>
    found.every((each) => each.required?.includes(name)),
  );
  return { properties: Object.assign({}, ...found.map(({ properties }) => properties)), required };
}
