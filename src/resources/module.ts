import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import { type FieldTable, isRecord, type ReadFields, readFields } from "./fields.ts";
import { type RawObject, type Resource, subjectOf } from "./resource.ts";

const Flag = Type.Optional(Type.Boolean({ description: "true or false" }));

const Config = Type.Object({
  service_port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535, description: "a port number" })),
  use_remote_address: Flag,
  xff_num_trusted_hops: Type.Optional(Type.Integer({ minimum: 0, description: "a number of proxies" })),
  merge_slashes: Flag,
  reject_requests_with_escaped_slashes: Flag,
  preserve_external_request_id: Flag,
  strip_matching_host_port: Flag,
  server_name: Type.Optional(Type.String({ pattern: "^[!-~]{1,64}$", description: "a word without spaces" })),
  cluster_request_timeout_ms: Type.Optional(
    Type.Integer({ minimum: 0, description: "a number of milliseconds" }),
  ),
  upstream_verification: Type.Optional(
    Type.Union([Type.Literal("required"), Type.Literal("optional")], { description: "required or optional" }),
  ),
  defaults: Type.Optional(
    // What else it holds is not acted on and is reported by itself, below.
    Type.Object({ tls_secret_namespacing: Flag }, { description: "a map with tls_secret_namespacing" }),
  ),
});

export type ModuleConfig = Static<typeof Config>;

export interface ModuleResource extends Resource<"Module", ModuleConfig> {
  /** Keys that control access and that this version cannot enforce: every route is closed (design §9). */
  readonly unenforced: readonly string[];
  /** It asks for TLS termination in the old way (`tls.server`, reference §2.7), which is not acted on. */
  readonly terminates: boolean;
}

/** Reads Module `ambassador`; a bad value leaves that key at its default and says so. */
export function parseModule(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: ModuleResource; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "Module", ...identity });
  const config = isRecord(value) && isRecord(value.config) ? value.config : {};
  // Positions are recorded to one level below spec; a key of `config` stands where `config` does, if not deeper.
  const fields = new Map(raw.fields);
  for (const [path, position] of raw.fields) {
    if (path.startsWith("spec.config.")) fields.set(`spec.${path.slice("spec.config.".length)}`, position);
  }
  const placed = { ...raw, fields };
  const unenforced = ACCESS_CONTROL.filter((key) => config[key] !== undefined && config[key] !== null);
  const rest = Object.fromEntries(Object.entries(config).filter(([key]) => !ACCESS_CONTROL.includes(key)));
  const read = readFields(rest, TABLE, subject, placed);
  unenforced.push(...[...read.misspelt].filter((key) => ACCESS_CONTROL.includes(key)));
  const diagnostics = read.diagnostics.map((found) => {
    if (found.code === "field-invalid")
      return { ...found, code: "module-invalid", effect: "field-ignored" as const };
    return found.code === "field-not-supported" ? { ...found, code: "module-key-not-supported" } : found;
  });
  for (const [key, value] of Object.entries(isRecord(config.defaults) ? config.defaults : {})) {
    if (key === "tls_secret_namespacing") continue;
    const source = fields.get(`spec.defaults.${key}`) ?? fields.get("spec.defaults") ?? raw.source;
    const message = `defaults.${key} is not acted on by this version`;
    diagnostics.push(diagnose("module-key-not-supported", { subject, source, message }));
    // As on a Mapping: what is to be removed may be what must not reach the upstream.
    if (isRecord(value) && REMOVED_HEADERS in value) unenforced.push(`defaults.${key}.${REMOVED_HEADERS}`);
  }
  for (const key of unenforced) {
    const source = fields.get(`spec.${key}`) ?? fields.get(`spec.${key.split(".")[0]}`) ?? raw.source;
    const message = `${key} controls access and cannot be enforced by this version`;
    diagnostics.push(diagnose("access-control-not-enforced", { subject, source, message }));
  }
  const spec = { ...(read.spec as ModuleConfig), ...strictest(read) };
  const terminates = asksForTermination(config.tls);
  if (terminates) diagnostics.push(terminationRefused(subject, fields.get("spec.tls") ?? raw.source));
  return {
    resource: { kind: "Module", ...identity, spec, raw: placed, unenforced, terminates },
    diagnostics,
  };
}

/** Whether the old `tls` configuration has a server block that is switched on: 1.14 then serves `*` over TLS. */
export function asksForTermination(tls: unknown): boolean {
  return isRecord(tls) && isRecord(tls.server) && tls.server.enabled !== false;
}

export function terminationRefused(subject: Subject, source: SourcePosition): Diagnostic {
  return diagnose("kind-not-supported", {
    subject,
    source,
    message: "TLS termination by a Module is not acted on; every name that no TLSContext has is refused",
    severity: "error",
    effect: "host-refused",
    remedy: 'Write a TLSContext with `hosts: ["*"]` and the same secret.',
  });
}

/** What must hold although nobody can read how it was asked for: the strict reading of each guard. */
function strictest({ bad, misspelt }: ReadFields): ModuleConfig {
  const asked = (key: string): boolean => bad.has(key) || misspelt.has(key);
  return {
    ...(asked("upstream_verification") ? { upstream_verification: "required" } : {}),
    ...(asked("reject_requests_with_escaped_slashes") ? { reject_requests_with_escaped_slashes: true } : {}),
  };
}

const REMOVED_HEADERS = "remove_request_headers";
const ACCESS_CONTROL = ["ip_allow", "ip_deny"];

/** The other keys of reference §2.7. */
const OTHER_KEYS: readonly string[] = (
  "add_linkerd_headers admin_port allow_chunked_length buffer buffer_limit_bytes circuit_breakers keepalive " +
  "load_balancer retry_policy cors resolver cluster_idle_timeout_ms cluster_max_connection_lifetime_ms debug_mode " +
  "default_label_domain default_labels diagnostics liveness_probe readiness_probe enable_grpc_http11_bridge " +
  "enable_grpc_web enable_http10 enable_ipv4 enable_ipv6 envoy_log_type envoy_log_path envoy_log_format " +
  "envoy_validation_timeout error_response_overrides forward_client_cert_details set_current_client_cert_details " +
  "grpc_stats gzip header_case_overrides proper_case headers_with_underscores_action listener_idle_timeout_ms " +
  "lua_scripts max_request_headers_kb suppress_envoy_headers prune_unreachable_routes regex_max_size regex_type " +
  "statsd tls use_ambassador_namespace_for_service_resolution use_proxy_proto x_forwarded_proto_redirect"
).split(" ");

const TABLE: FieldTable = {
  properties: Config.properties,
  required: [],
  ignored: [...OTHER_KEYS, ...ACCESS_CONTROL],
  guarding: [...ACCESS_CONTROL, "upstream_verification", "reject_requests_with_escaped_slashes"],
};
