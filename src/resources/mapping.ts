import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { type FieldTable, readFields } from "./fields.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";

const Spec = Type.Object({
  prefix: Type.String({ minLength: 1, pattern: "^/", description: "a path that begins with /" }),
  service: Type.String({ minLength: 1, description: "[scheme://]host[:port]" }),
  host: Type.Optional(Type.String({ minLength: 1, description: "a host name" })),
  // It stands in a request line: visible ASCII, or a line could end in it (RFC 9112 §3).
  rewrite: Type.Optional(
    Type.String({ pattern: "^[!-~]*$", description: "a path of visible ASCII, or an empty string for none" }),
  ),
  host_rewrite: Type.Optional(
    Type.String({ minLength: 1, pattern: "^[A-Za-z0-9._:\\[\\]-]+$", description: "a host name" }),
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

/** Why a Mapping that keeps its place answers 503. */
export interface MappingResource extends Resource<"Mapping", MappingSpec> {
  /** The diagnostic that closes it, null where all of it is understood. */
  readonly closedBy: string | null;
}

/** Reads a Mapping. Null where not even its match is readable; a bad rest keeps its place and closes it (design §9). */
export function parseMapping(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: MappingResource | null; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "Mapping", ...identity });
  const read = readFields(value, TABLE, subject, raw);
  const unmatched = [...read.bad].some((field) => MATCH_FIELDS.has(field));
  const diagnostics = read.diagnostics.map((found) =>
    (found.code === "field-invalid" || found.code === "field-missing") && !unmatched
      ? { ...found, effect: "route-fails-closed" as const }
      : found,
  );
  if (unmatched) return { resource: null, diagnostics };
  let closedBy: string | null = read.bad.size > 0 ? "mapping-fails-closed" : null;
  const given = value as Readonly<Record<string, unknown>>;
  for (const [field, reason] of Object.entries(CLOSING)) {
    const set = given[field];
    // What a field says by default changes nothing: only case_sensitive is true by default.
    const isDefault = field === "case_sensitive" ? set === true : set === false || set === "";
    if (set === undefined || set === null || isDefault) continue;
    if (field === "resolver" && set === "kubernetes-service") continue;
    closedBy = "mapping-fails-closed";
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
  return { resource: { kind: "Mapping", ...identity, spec, raw, closedBy }, diagnostics };
}

const MATCH_FIELDS = new Set(["prefix", "host", "precedence"]);

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
  shadow: "copies would be served as if they were requests",
  grpc: "the upstream would be spoken to in HTTP/1.1",
  resolver: "the service would be looked for in another place",
};

const TABLE: FieldTable = {
  properties: {
    ...Spec.properties,
    ...Object.fromEntries(
      ["ambassador_id", "ambassadorId", ...Object.keys(CLOSING)].map((name) => [name, Type.Unknown()]),
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
};
