import { type TProperties, type TSchema, Type } from "typebox";
import { Check, Errors } from "typebox/value";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { nearest } from "./nearest.ts";
import type { RawObject } from "./resource.ts";

/** Read before anything else of an object, and by every kind: which gateways it is for (reference §2.1). */
export const SELECTION_FIELDS = { ambassador_id: Type.Unknown(), ambassadorId: Type.Unknown() };

/** How a kind's fields are read. */
export interface FieldTable {
  /** Fields that are acted on. */
  readonly properties: TProperties;
  readonly required: readonly string[];
  /** Fields of 1.14 that this version does not act on, and may safely leave alone. */
  readonly ignored: readonly string[];
  /** Fields that narrow a match or guard access: whoever misspells one may not be taken for somebody who left it out. */
  readonly guarding?: readonly string[];
  /** What is no field though people take it for one that narrows: why not, and what to do instead. */
  readonly elsewhere?: Readonly<Record<string, { readonly why: string; readonly remedy: string }>>;
}

export interface ReadFields {
  /** Values that fit their schema. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** Fields whose value does not fit, or that are required and missing. */
  readonly bad: ReadonlySet<string>;
  /** Known fields that are not given, and that an unknown one most likely means: `tsl` for `tls`. And those that are `elsewhere`. */
  readonly misspelt: ReadonlySet<string>;
  readonly diagnostics: readonly Diagnostic[];
}

/** Checks each field for itself, so that one bad value never hides what the others say. */
export function readFields(value: unknown, table: FieldTable, subject: Subject, raw: RawObject): ReadFields {
  const spec: Record<string, unknown> = {};
  const bad = new Set<string>();
  const misspelt = new Set<string>();
  const diagnostics: Diagnostic[] = [];
  const given = isRecord(value) ? value : {};
  for (const [name, field] of Object.entries(given)) {
    const source = raw.fields.get(`spec.${name}`) ?? raw.source;
    // `__proto__` and `constructor` are names like any other.
    const schema = Object.hasOwn(table.properties, name) ? (table.properties[name] as TSchema) : undefined;
    if (schema !== undefined) {
      if (field === null || field === undefined) continue;
      // Of what keeps something out nothing is left out by a slip of the pen.
      const guards = name === "defaults" || table.guarding?.includes(name) === true;
      const known = guards
        ? field
        : withoutUnknown(schema, field, name, (path, near) => {
            diagnostics.push(
              diagnose("field-unknown", {
                subject,
                source: raw.fields.get(`spec.${path}`) ?? source,
                message: `${path} is no field of ${name}`,
                ...(near === undefined
                  ? {}
                  : { remedy: `Did you mean \`${near}\`? Mend it, or remove the field.` }),
              }),
            );
          });
      if (Check(schema, known)) spec[name] = known;
      else {
        bad.add(name);
        const wanted = (schema as { description?: string }).description ?? "another type";
        const inside = whereInside(schema, known);
        const place =
          inside === null ? undefined : raw.fields.get(`spec.${name}.${inside.path.split(".")[0]}`);
        const message =
          inside === null
            ? `${name} must be ${wanted}, not ${describe(field)}`
            : `${name} must be ${wanted}; ${inside.path} ${inside.says}`;
        const remedy = inside?.near === undefined ? {} : { remedy: `Did you mean \`${inside.near}\`?` };
        diagnostics.push(diagnose("field-invalid", { subject, source: place ?? source, message, ...remedy }));
      }
    } else if (table.ignored.includes(name)) {
      diagnostics.push(
        diagnose("field-not-supported", {
          subject,
          source,
          message: `${name} is a field of 1.14 that is not acted on`,
        }),
      );
    } else if (table.elsewhere !== undefined && Object.hasOwn(table.elsewhere, name)) {
      const { why, remedy } = table.elsewhere[name] as { why: string; remedy: string };
      misspelt.add(name);
      const message = `${name} is no field of ${subject.kind}: ${why}`;
      const closed = { severity: "error", effect: "route-fails-closed" } as const;
      diagnostics.push(diagnose("field-unknown", { subject, source, message, remedy, ...closed }));
    } else {
      const near = nearest(name, [...Object.keys(table.properties), ...table.ignored]);
      const closes = near !== undefined && table.guarding?.includes(near) === true && !(near in given);
      if (closes) misspelt.add(near);
      diagnostics.push(
        diagnose("field-unknown", {
          subject,
          source,
          message: closes
            ? `${name} is no field of ${subject.kind}; it may mean ${near}, which is not left out unsaid`
            : `${name} is no field of ${subject.kind}`,
          ...(closes ? { severity: "error" as const, effect: "route-fails-closed" as const } : {}),
          ...(near === undefined
            ? {}
            : { remedy: `Did you mean \`${near}\`? Mend it, or remove the field.` }),
        }),
      );
    }
  }
  for (const name of table.required) {
    if (name in spec || bad.has(name)) continue;
    bad.add(name);
    diagnostics.push(
      diagnose("field-missing", { subject, source: raw.source, message: `${name} is missing` }),
    );
  }
  return { spec, bad, misspelt, diagnostics };
}

/** Blocks lose what their schema does not know, as 1.14 lost it; told of each by its path. */
function withoutUnknown(
  schema: TSchema,
  value: unknown,
  path: string,
  report: (path: string, near: string | undefined) => void,
): unknown {
  const { properties, additionalProperties, items } = schema as {
    properties?: TProperties;
    additionalProperties?: unknown;
    items?: TSchema;
  };
  if (items !== undefined && Array.isArray(value))
    return value.map((item, index) => withoutUnknown(items, item, `${path}.${index}`, report));
  if (properties === undefined || additionalProperties !== false || !isRecord(value)) return value;
  const kept: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    if (Object.hasOwn(properties, name))
      kept[name] = withoutUnknown(properties[name] as TSchema, field, `${path}.${name}`, report);
    else report(`${path}.${name}`, nearest(name, Object.keys(properties)));
  }
  return kept;
}

/** The entry of a map or list that does not fit, as `cookie.name`, and what it is; null where the whole does not. */
function whereInside(
  schema: TSchema,
  value: unknown,
): { readonly path: string; readonly says: string; readonly near?: string | undefined } | null {
  if (typeof value !== "object") return null;
  const pointers = Errors(schema, value).map(({ instancePath }) => instancePath);
  const [deepest = ""] = pointers.sort((a, b) => b.split("/").length - a.split("/").length);
  if (deepest === "") return null;
  const steps = deepest.slice(1).split("/");
  const found = steps.reduce<unknown>(
    (inner, step) => (inner as Record<string, unknown> | undefined)?.[step.replaceAll("~1", "/")],
    value,
  );
  const path = steps.join(".");
  const inner = steps.reduce<TSchema | undefined>(schemaAt, schema);
  const parent = steps.slice(0, -1).reduce<TSchema | undefined>(schemaAt, schema);
  const around = Object.keys((parent as { properties?: TProperties } | undefined)?.properties ?? {});
  if (inner === undefined && around.length > 0)
    return { path, says: "is no field of it", near: nearest(steps.at(-1) ?? "", around) };
  return { path, says: `is ${describe(found)}${hintOf(inner, found)}` };
}

function schemaAt(at: TSchema | undefined, step: string): TSchema | undefined {
  const { properties, items, patternProperties } = (at ?? {}) as {
    properties?: TProperties;
    items?: TSchema;
    patternProperties?: TProperties;
  };
  return (properties?.[step] as TSchema | undefined) ?? items ?? Object.values(patternProperties ?? {})[0];
}

/** What may stand at a place of a schema, where that can be said in a few words. */
function hintOf(inner: TSchema | undefined, found: unknown): string {
  const { anyOf = [inner], description } = (inner ?? {}) as {
    anyOf?: readonly unknown[];
    description?: string;
  };
  const choices = anyOf as readonly ({ const?: unknown; type?: unknown } | undefined)[];
  if (choices.every((choice) => choice?.const !== undefined))
    return `, which is none of ${choices.map((choice) => String(choice?.const)).join(", ")}`;
  if (typeof found === "number" && choices.some((choice) => choice?.type === "string"))
    return ", which needs quotes to be text";
  return description === undefined ? "" : ` and must be ${description}`;
}

/** A map, neither null nor a list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in a message: short, and its type where it has no short form. */
function describe(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return Object.keys(value).length === 0 ? "an empty map" : "a map";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
