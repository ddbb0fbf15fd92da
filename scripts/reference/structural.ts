import { stringify } from "yaml";
import type { DocumentedKind } from "./kinds.ts";
import { type FieldSchema, valueSchema } from "./schema.ts";

/** OpenAPI v3 as Kubernetes takes it for custom resources. */
export interface StructuralSchema {
  type?: string;
  description?: string;
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  items?: StructuralSchema;
  required?: readonly string[];
  enum?: readonly unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  pattern?: string;
  "x-kubernetes-preserve-unknown-fields"?: true;
  "x-kubernetes-int-or-string"?: true;
}

/**
 * A field as a structural schema: every level has one type. Alternatives that cannot be said so are left to `credence
 * check`: text or number is `int-or-string`, the rest is taken as it comes.
 */
export function structural(schema: FieldSchema): StructuralSchema {
  const described = describe(schema);
  const { anyOf } = schema;
  if (anyOf !== undefined) return { ...described, ...alternatives(anyOf) };
  if (schema.const !== undefined) return { ...described, ...alternatives([schema]) };
  switch (schema.type) {
    case "object": {
      const values = valueSchema(schema);
      if (schema.properties === undefined && values === undefined)
        return { ...described, type: "object", ...ANYTHING };
      return {
        ...described,
        type: "object",
        ...(schema.properties === undefined ? {} : block(schema)),
        ...(values === undefined ? {} : { additionalProperties: structural(values) }),
      };
    }
    case "array":
      return { ...described, type: "array", items: structural(schema.items ?? {}) };
    case "string":
    case "integer":
    case "number":
    case "boolean":
      return { ...described, type: schema.type, ...bounds(schema) };
    default:
      return { ...described, ...ANYTHING };
  }
}

/** deploy/crds/PLURAL.yaml. */
export function customResourceDefinition(documented: DocumentedKind): string {
  const { kind, plural, fields, below, about } = documented;
  const own = block(fields as FieldSchema);
  const inner = { type: "object", ...own };
  const selection = {
    description: "Which gateways the object is meant for: a name or a list of names. Default: default",
    ...ANYTHING,
  };
  const spec: StructuralSchema =
    below === undefined
      ? { ...inner, properties: { ambassador_id: selection, ...own.properties } }
      : { type: "object", ...ANYTHING, properties: { ambassador_id: selection, [below]: inner } };
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.getambassador.io`, labels: { "app.kubernetes.io/part-of": "credence" } },
    spec: {
      group: "getambassador.io",
      scope: "Namespaced",
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        categories: ["ambassador-crds"],
      },
      versions: [
        {
          name: "v2",
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              description: about,
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                spec,
                status: { type: "object", ...ANYTHING },
              },
            },
          },
          subresources: { status: {} },
        },
      ],
    },
  };
  return `# Made by \`npm run reference\` from the schemas in src/resources: edit those.\n${stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

const ANYTHING = { "x-kubernetes-preserve-unknown-fields": true } as const;

/** Names that are not known are kept, not pruned: a misspelt field that vanished could not be reported. */
function block({ properties = {}, required = [] }: FieldSchema): StructuralSchema {
  return {
    ...ANYTHING,
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, field]) => [name, structural(field)]),
    ),
    ...(required.length === 0 ? {} : { required }),
  };
}

function alternatives(anyOf: readonly FieldSchema[]): StructuralSchema {
  const constants = anyOf.map((each) => each.const);
  if (constants.every((value) => typeof value === "string")) return { type: "string", enum: constants };
  if (constants.every((value) => Number.isInteger(value))) return { type: "integer", enum: constants };
  const [only] = anyOf;
  if (anyOf.length === 1 && only !== undefined) return structural(only);
  const types = new Set(anyOf.map(({ type }) => (type === "number" ? "integer" : type)));
  if (types.size === 2 && types.has("integer") && types.has("string"))
    return { "x-kubernetes-int-or-string": true };
  const [type] = types;
  return types.size === 1 && type !== undefined && SCALARS.has(type) ? { type } : ANYTHING;
}

const SCALARS = new Set(["string", "integer", "boolean"]);

function describe({ does, description, byDefault, note }: FieldSchema): StructuralSchema {
  const parts = [
    does,
    description === undefined ? undefined : `Takes ${description}.`,
    byDefault === undefined ? undefined : `Default: ${byDefault}.`,
    note,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? {} : { description: parts.join(" ") };
}

/** Patterns are RE2's on the API server: those that it reads differently are left to `credence check`. */
function bounds({ minimum, maximum, minLength, pattern }: FieldSchema): StructuralSchema {
  return {
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
    ...(minLength === undefined ? {} : { minLength }),
    ...(pattern === undefined || /\\x|\(\?[=!<]/.test(pattern) ? {} : { pattern }),
  };
}
