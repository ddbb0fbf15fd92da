import { stringify } from "yaml";
import type { DocumentedKind } from "./kinds.ts";
import { type FieldSchema, nestedFields } from "./schema.ts";

/** A kind's page in docs/reference/. */
export function kindPage({ kind, about, fields, below, example, name }: DocumentedKind): string {
  const path = below === undefined ? "spec" : `spec.${below}`;
  const whole = {
    apiVersion: "getambassador.io/v2",
    kind,
    metadata: { name: name ?? exampleName(kind) },
    ...(Object.keys(example).length === 0
      ? {}
      : { spec: below === undefined ? example : { [below]: example } }),
  };
  const properties = Object.entries(fields.properties as Record<string, FieldSchema>);
  const parts = [
    `# ${kind}\n`,
    GENERATED,
    `${about}\n`,
    code(whole),
    "Every kind also has `ambassador_id`: which gateways it is meant for, a name or a list of names; `default` where it is left out.\n",
  ];
  if (properties.length > 0) {
    parts.push(`## Fields of \`${path}\`\n`, table(properties, fields.required ?? [], ""));
    for (const [field, schema] of properties) parts.push(section(field, schema));
  }
  return `${parts
    .filter((part) => part !== "")
    .join("\n")
    .trimEnd()}\n`;
}

/** docs/reference/README.md: what there is. */
export function indexPage(kinds: readonly DocumentedKind[]): string {
  const lines = kinds.map(({ kind, about }) => [
    `[${kind}](${kind.toLowerCase()}.md)`,
    about.split(/[:.] |\.$/)[0] ?? "",
  ]);
  return `# Kinds and their fields

${GENERATED}
${markdownTable(["kind", "what"], lines)}
The same as custom resource definitions: [deploy/crds](../../deploy/crds). Fields of 1.14 that are not listed are reported by
\`credence check\`. A misspelt name suggests the nearest one.
`;
}

const GENERATED = "<!-- Made by `npm run reference` from the schemas in src/resources: edit those. -->\n";

function section(field: string, schema: FieldSchema): string {
  const nested = Object.entries(nestedFields(schema)?.properties ?? {});
  const examples = schema.examples ?? [];
  if (nested.length === 0 && examples.length === 0 && schema.note === undefined) return "";
  const parts = [`### \`${field}\`\n`, `${schema.does ?? ""}\n`];
  if (schema.note !== undefined) parts.push(`${schema.note}\n`);
  for (const example of examples) parts.push(code({ [field]: example }));
  if (nested.length > 0) parts.push(table(rows(schema), [], ""));
  return parts.join("\n");
}

/** Nested fields with those below them, by path. */
function rows(schema: FieldSchema, prefix = ""): [string, FieldSchema & { readonly isRequired?: boolean }][] {
  const { properties = {}, required = [] } = nestedFields(schema) ?? {};
  return Object.entries(properties).flatMap(([name, field]) => [
    [`${prefix}${name}`, { ...field, isRequired: required.includes(name) }],
    ...rows(field, `${prefix}${name}.`),
  ]);
}

function table(
  fields: readonly [string, FieldSchema & { readonly isRequired?: boolean }][],
  required: readonly string[],
  prefix: string,
): string {
  const lines = fields.map(([name, field]) => [
    `\`${prefix}${name}\``,
    field.description ?? typeWords(field),
    required.includes(name) || field.isRequired === true ? "required" : (field.byDefault ?? ""),
    field.does ?? "",
  ]);
  return markdownTable(["field", "type", "default", "what it does"], lines);
}

/** For what carries no words of its own: an entry of a nested block. */
function typeWords({ type, anyOf }: FieldSchema): string {
  return anyOf === undefined ? (type ?? "any value") : anyOf.map(typeWords).join(" or ");
}

/** Without padding: a longer row then changes no other line. */
function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const text = (line: readonly string[]): string => `| ${line.map(cell).join(" | ")} |`;
  return `${[text(head), text(head.map(() => "---")), ...lines.map(text)].join("\n")}\n`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replace(/\s+/g, " ").trim();
}

function code(value: unknown): string {
  return `\`\`\`yaml\n${stringify(value, { lineWidth: 0 })}\`\`\`\n`;
}

function exampleName(kind: string): string {
  return kind.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase();
}
