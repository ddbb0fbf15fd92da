import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { isName } from "./field-doc.ts";
import { type FieldTable, isRecord, readFields, SELECTION_FIELDS } from "./fields.ts";
import { ACTION_FIELDS } from "./mapping-action.ts";
import { MATCH_FIELDS } from "./mapping-match.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";

export const MAPPING = Type.Object({ ...MATCH_FIELDS, ...ACTION_FIELDS });

export type MappingSpec = Static<typeof MAPPING>;

export interface MappingResource extends Resource<"Mapping", MappingSpec> {
  /** The diagnostic that closes it, null where all of it is understood. */
  readonly closedBy: string | null;
  /** It may take less than its match says: part of that cannot be read. */
  readonly mayBeNarrower: boolean;
}

/**
 * Reads a Mapping. Without a readable path or host nobody knows where it stands: null. Where the rest is bad it keeps its
 * place and is closed (design §9); of a header's value that cannot be read its name is certain.
 */
export function parseMapping(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: MappingResource | null; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "Mapping", ...identity });
  const written = isRecord(value) ? value : {};
  const empty = OMITTED_WHERE_EMPTY.filter((field) => written[field] === "");
  const given =
    empty.length === 0
      ? written
      : Object.fromEntries(Object.entries(written).filter(([field]) => !empty.includes(field)));
  const read = readFields(given, TABLE, subject, raw);
  const bad = new Set(read.bad);
  const found = [...read.diagnostics];
  for (const field of empty) {
    const at = { subject, source: positionOf({ raw }, field) };
    const message = `${field} is "", which is as if it were not there: any ${field} matches`;
    const remedy = `Remove the field, or name a ${field}.`;
    const asIfAbsent = { severity: "warning", effect: "field-ignored" } as const;
    found.push(diagnose("field-invalid", { ...at, message, remedy, ...asIfAbsent }));
  }
  const { prefix } = read.spec;
  if (typeof prefix === "string" && !prefix.startsWith("/") && read.spec.prefix_regex !== true) {
    bad.add("prefix");
    const message = `prefix must be a path that begins with /, not ${JSON.stringify(prefix.slice(0, 60))}`;
    found.push(diagnose("field-invalid", { subject, source: positionOf({ raw }, "prefix"), message }));
  }
  for (const [field, [message, severity]] of Object.entries(WITHOUT_EFFECT)) {
    if (read.spec[field] === undefined) continue;
    const at = { subject, source: positionOf({ raw }, field) };
    found.push(diagnose("field-not-supported", { ...at, message: `${field} ${message}`, severity }));
  }
  const isUnplaced = PLACE.some((field) => bad.has(field));
  const effect = isUnplaced ? ("object-ignored" as const) : ("route-fails-closed" as const);
  const diagnostics = found.map((finding) =>
    finding.severity === "error" ? { ...finding, effect } : finding,
  );
  if (isUnplaced) return { resource: null, diagnostics };
  let closedBy: string | null = null;
  if (read.misspelt.size > 0) closedBy = "field-unknown";
  if (bad.size > 0)
    closedBy = bad.has("service") && given.service == null ? "field-missing" : "field-invalid";
  const certain: Record<string, unknown> = Object.fromEntries(
    BY_NAME.filter((field) => bad.has(field) && isRecord(given[field])).flatMap((field) => {
      const names = Object.keys(given[field] as object);
      if (!names.every(isName)) return [];
      return [[field.replace("regex_", ""), Object.fromEntries(names.map((name) => [name, true]))]];
    }),
  );
  const spec = { service: "", ...certain, ...read.spec } as MappingSpec;
  const mayBeNarrower =
    [...read.misspelt].some((field) => PLACE.includes(field) || CONSTRAINTS.includes(field)) ||
    CONSTRAINTS.some((field) => bad.has(field) && certain[field.replace("regex_", "")] === undefined);
  return { resource: { kind: "Mapping", ...identity, spec, raw, closedBy, mayBeNarrower }, diagnostics };
}

/** Templates leave `host: ""` behind, and 1.14's typed objects lost it (`omitempty`): such a Mapping took any host. */
const OMITTED_WHERE_EMPTY = ["host", "method"];

/** Without these nobody knows where the Mapping stands. */
const PLACE = ["prefix", "prefix_regex", "prefix_exact", "case_sensitive", "host", "host_regex"];
const CONSTRAINTS = Object.keys(MATCH_FIELDS).filter(
  (name) => !PLACE.includes(name) && name !== "precedence" && name !== "weight",
);

/** Those of them whose names are certain where a value cannot be read. */
const BY_NAME = ["headers", "regex_headers", "query_parameters", "regex_query_parameters"];

/** Fields that are read, and that nothing here acts on. */
const WITHOUT_EFFECT = {
  docs: ["are for the developer portal, which is not here", "info"],
} as const;

const TABLE: FieldTable = {
  properties: {
    ...MAPPING.properties,
    ...SELECTION_FIELDS,
  },
  required: ["prefix", "service"],
  ignored: ["envoy_override", "modules"],
  // Left out by a slip of the pen, each of these would let in, or through, what was to be kept out.
  guarding: [
    "tls",
    ...PLACE.filter((name) => name !== "prefix"),
    ...CONSTRAINTS,
    ..."regex_rewrite remove_request_headers remove_response_headers host_redirect shadow grpc resolver".split(
      " ",
    ),
  ],
};
