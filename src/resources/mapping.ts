import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { type FieldTable, isRecord, readFields } from "./fields.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";

const Spec = Type.Object({
  prefix: Type.String({ minLength: 1, pattern: "^/", description: "a path that begins with /" }),
  service: Type.String({ minLength: 1, description: "[scheme://]host[:port]" }),
  host: Type.Optional(Type.String({ minLength: 1, description: "a host name" })),
  // Goes into the request line as it stands: visible ASCII only (RFC 9112 §3.2).
  rewrite: Type.Optional(
    Type.String({ pattern: "^[!-~]*$", description: "a path in visible ASCII, or an empty string for none" }),
  ),
  host_rewrite: Type.Optional(
    Type.String({ minLength: 1, pattern: "^[!-.0-~]+$", description: "a host name" }),
  ),
  tls: Type.Optional(
    Type.Union([Type.Boolean(), Type.String({ minLength: 1 })], {
      description: "true, or the name of a TLSContext",
    }),
  ),
  timeout_ms: Type.Optional(Type.Integer({ minimum: 0, description: "a number of milliseconds" })),
  connect_timeout_ms: Type.Optional(Type.Integer({ minimum: 1, description: "a number of milliseconds" })),
  precedence: Type.Optional(Type.Integer({ description: "a whole number" })),
  weight: Type.Optional(Type.Integer({ minimum: 0, maximum: 100, description: "a percentage" })),
});

export type MappingSpec = Static<typeof Spec>;

export interface MappingResource extends Resource<"Mapping", MappingSpec> {
  /** The diagnostic that closes it, null where all of it is understood. */
  readonly closedBy: string | null;
  /** What is written of the match and not acted on: it closes the Mapping, and still says where its place is. */
  readonly unmatched: Readonly<Record<string, unknown>>;
}

/** Reads a Mapping. Null where not even its match is readable; a bad rest keeps its place and closes it (design §9). */
export function parseMapping(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: MappingResource | null; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "Mapping", ...identity });
  const read = readFields(value, TABLE, subject, raw);
  const given = isRecord(value) ? value : {};
  if (says("shadow", given.shadow)) {
    // A shadow's answers are thrown away, so its requests are nobody's: it has no place to keep.
    const source = positionOf({ raw }, "shadow");
    const message = "shadow is not acted on by this version: no copies of requests are sent";
    const found = diagnose("field-not-supported", { subject, source, message, effect: "object-ignored" });
    return { resource: null, diagnostics: [found] };
  }
  const matchIsBad = ["prefix", "host"].some((field) => read.bad.has(field));
  const diagnostics = read.diagnostics.map((found) =>
    (found.code === "field-invalid" || found.code === "field-missing") && !matchIsBad
      ? { ...found, effect: "route-fails-closed" as const }
      : found,
  );
  if (matchIsBad) return { resource: null, diagnostics };
  let closedBy: string | null = null;
  if (read.misspelt.size > 0) closedBy = "field-unknown";
  if (read.bad.size > 0)
    closedBy = read.bad.has("service") && given.service == null ? "field-missing" : "field-invalid";
  const unmatched: Record<string, unknown> = {};
  for (const [field, reason] of Object.entries(CLOSING)) {
    if (!says(field, given[field])) continue;
    if (MATCHING.has(field)) unmatched[field] = given[field];
    closedBy ??= "mapping-fails-closed";
    diagnostics.push(
      diagnose("mapping-fails-closed", {
        subject,
        source: positionOf({ raw }, field),
        message: `${field} is not acted on by this version, and without it ${reason}`,
        remedy: "Remove the field, or leave this Mapping to a gateway that acts on it.",
      }),
    );
  }
  const spec = { service: "", ...read.spec } as MappingSpec;
  return { resource: { kind: "Mapping", ...identity, spec, raw, closedBy, unmatched }, diagnostics };
}

/** Whether a field's value asks for something: a default that is written down, or an empty list, does not. */
function says(field: string, value: unknown): boolean {
  if (field === "case_sensitive") return value !== undefined && value !== null && value !== true;
  if (field === "resolver" && value === "kubernetes-service") return false;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== false && value !== "";
}

/** Fields that may not be left out silently: what they do without. */
const CLOSING: Readonly<Record<string, string>> = {
  prefix_regex: "the prefix would be read as plain text",
  prefix_exact: "longer paths would match too",
  case_sensitive: "the match would be another one",
  host_regex: "the host would be read as plain text",
  method: "other methods would match too",
  method_regex: "other methods would match too",
  headers: "requests without them would match too",
  regex_headers: "requests without them would match too",
  query_parameters: "requests without them would match too",
  regex_query_parameters: "requests without them would match too",
  regex_rewrite: "the upstream would see another path",
  remove_request_headers: "the upstream would see headers that were to be removed",
  host_redirect: "the request would be forwarded instead of redirected",
  path_redirect: "the request would be forwarded instead of redirected",
  prefix_redirect: "the request would be forwarded instead of redirected",
  regex_redirect: "the request would be forwarded instead of redirected",
  grpc: "the upstream would be spoken to in HTTP/1.1",
  resolver: "the service would be looked for in another place",
};

/** Those of them that are part of the match. */
const MATCHING = new Set(
  (
    "prefix_regex prefix_exact case_sensitive host_regex method method_regex headers regex_headers query_parameters " +
    "regex_query_parameters"
  ).split(" "),
);

const TABLE: FieldTable = {
  properties: {
    ...Spec.properties,
    ...Object.fromEntries(
      ["ambassador_id", "ambassadorId", "shadow", ...Object.keys(CLOSING)].map((name) => [
        name,
        Type.Unknown(),
      ]),
    ),
    // WebSocket upgrades are always passed on, so asking for them changes nothing.
    use_websocket: Type.Unknown(),
    allow_upgrade: Type.Unknown(),
    docs: Type.Unknown(),
  },
  required: ["prefix", "service"],
  ignored: (
    "add_linkerd_headers add_request_headers add_response_headers auth_context_extensions auto_host_rewrite " +
    "bypass_auth bypass_error_response_overrides circuit_breakers cluster_idle_timeout_ms " +
    "cluster_max_connection_lifetime_ms cluster_tag cors dns_type enable_ipv4 enable_ipv6 envoy_override " +
    "error_response_overrides idle_timeout_ms keepalive labels load_balancer modules outlier_detection priority " +
    "redirect_response_code remove_response_headers respect_dns_ttl retry_policy"
  ).split(" "),
  guarding: ["tls", "host", ...Object.keys(CLOSING)],
};
