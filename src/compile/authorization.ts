import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { AuthDestination, Authorization } from "../model/auth.ts";
import { type EngineName, limitOf } from "../model/capabilities.ts";
import type { Cluster } from "../model/cluster.ts";
import { FRAMING_FIELDS } from "../model/framing.ts";
import type { AuthServiceResource, AuthServiceSpec } from "../resources/auth-service.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { type ClusterInput, compileCluster } from "./clusters.ts";
import { linkerdDestination } from "./linkerd.ts";

/** What the AuthServices come to: a question that can be asked, or the code that closes what they cover. */
export interface CompiledAuthorization {
  readonly authorization: Authorization | null;
  readonly clusters: readonly Cluster[];
  /** Closes routes that are neither redirects nor past the AuthService. */
  readonly closedBy: string | null;
}

const NONE: CompiledAuthorization = { authorization: null, clusters: [], closedBy: null };

/**
 * All AuthServices together: those that say the same share the questions by weight, as in 1.14; those that do not, or that
 * cannot be asked, close what they cover. `allowUnenforced` opens that again, but never a TLS context that is unusable.
 */
export function compileAuthorization(
  authServices: readonly AuthServiceResource[],
  input: ClusterInput,
  {
    allowUnenforced,
    engine,
  }: { readonly allowUnenforced?: boolean | undefined; readonly engine: EngineName },
  diagnostics: Diagnostic[],
): CompiledAuthorization {
  const [first] = authServices;
  if (first === undefined) return NONE;
  const unenforced = { ...NONE, closedBy: allowUnenforced === true ? null : "access-control-not-enforced" };
  const problems = authServices.map((each) => problemOf(each, first, engine, diagnostics));
  if (problems.some((found) => found)) return unenforced;
  const clusters = new Map<string, Cluster>();
  const services = new Map<string, AuthDestination>();
  for (const each of authServices) {
    const compiled = compileCluster(
      asServiceUser(each),
      { connect_timeout_ms: CONNECT_TIMEOUT_MS },
      input,
      diagnostics,
    );
    if ("closedBy" in compiled) return { ...NONE, closedBy: compiled.closedBy };
    const { cluster } = compiled;
    if (services.has(cluster.name)) continue;
    const linkerd = each.spec.add_linkerd_headers ?? input.config.add_linkerd_headers;
    clusters.set(cluster.name, cluster);
    services.set(cluster.name, {
      name: `authservice/${each.namespace}/${each.name}`,
      cluster: cluster.name,
      weight: each.spec.weight ?? 100,
      ...(linkerd === true ? { linkerd: linkerdDestination(cluster, each.namespace) } : {}),
    });
  }
  const asked = [...services.values()].filter(({ weight }) => weight > 0);
  if (asked.length === 0) {
    notEnforced(first, "weight", "every AuthService has weight 0, so there is none to ask", diagnostics);
    return unenforced;
  }
  for (const each of authServices) reportFraming(each, diagnostics);
  const used = new Set(asked.map(({ cluster }) => cluster));
  return {
    authorization: question(first.spec, asked),
    clusters: [...clusters.values()].filter(({ name }) => used.has(name)),
    closedBy: null,
  };
}

/** 1.14's default for every cluster. */
const CONNECT_TIMEOUT_MS = 3000;

/** Says what keeps an AuthService from being asked. */
function problemOf(
  service: AuthServiceResource,
  first: AuthServiceResource,
  engine: EngineName,
  diagnostics: Diagnostic[],
): boolean {
  if (service.closedBy !== null) {
    notEnforced(service, "auth_service", `it cannot be read in full (${service.closedBy})`, diagnostics);
    return true;
  }
  if (service.spec.proto === "grpc") {
    const limit = limitOf(engine, "grpc-auth-service");
    if (limit !== null) {
      notEnforced(service, "proto", limit.message, diagnostics);
      return true;
    }
    if (service.spec.protocol_version === "v2") {
      notEnforced(service, "protocol_version", "the interface v2 is gone, Envoy speaks v3", diagnostics);
      return true;
    }
  }
  const differs = differences(service.spec, first.spec);
  if (differs.length === 0) return false;
  const message = `its ${differs.join(", ")} differ${differs.length === 1 ? "s" : ""} from ${first.name}'s, and 1.14 has one AuthService only`;
  notEnforced(service, differs[0] as string, message, diagnostics);
  return true;
}

function notEnforced(
  service: AuthServiceResource,
  field: string,
  message: string,
  diagnostics: Diagnostic[],
): void {
  diagnostics.push(
    diagnose("access-control-not-enforced", {
      subject: subjectOf({ ...service, kind: service.writtenAs }),
      source: positionOf(service, field),
      message: `${service.writtenAs} ${service.name} is not enforced: ${message}; routes without bypass_auth answer 503`,
    }),
  );
}

/** Fields that may differ between AuthServices that are asked in turn. */
const OF_EACH = new Set([
  "auth_service",
  "tls",
  "weight",
  "protocol_version",
  "ambassador_id",
  "ambassadorId",
]);

function differences(a: AuthServiceSpec, b: AuthServiceSpec): string[] {
  const [left, right] = [a, b].map(
    (spec) => new Map<string, unknown>(Object.entries({ ...DEFAULTS, ...spec })),
  );
  const names = [...new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])])].sort();
  return names.filter(
    (name) => !OF_EACH.has(name) && JSON.stringify(left?.get(name)) !== JSON.stringify(right?.get(name)),
  );
}

const DEFAULTS = { proto: "http", timeout_ms: 5000, failure_mode_allow: false, allow_request_body: false };

/** What compileCluster reads, under the names that a Mapping has. */
function asServiceUser(service: AuthServiceResource): Parameters<typeof compileCluster>[0] {
  const { namespace, name, spec, raw } = service;
  const place = raw.fields.get("spec.auth_service");
  const fields = place === undefined ? raw.fields : new Map([...raw.fields, ["spec.service", place]]);
  return {
    kind: service.writtenAs,
    namespace,
    name,
    // 1.14 finds it by DNS whatever the Module's resolver is.
    spec: {
      service: spec.auth_service,
      ...(spec.proto === "grpc" ? { grpc: true } : {}),
      ...(spec.tls === undefined ? {} : { tls: spec.tls }),
      resolver: "kubernetes-service",
    },
    raw: { ...raw, fields },
  };
}

function question(spec: AuthServiceSpec, services: readonly AuthDestination[]): Authorization {
  const isGrpc = spec.proto === "grpc";
  const listed = names(spec.allowed_authorization_headers);
  const owned = listed.filter((name) => !SHOWN.includes(name));
  const added = Object.entries(spec.add_auth_headers ?? {})
    .map(([name, value]) => ({ name: name.toLowerCase(), value: String(value) }))
    .filter(({ name }) => !FRAMING_FIELDS.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const body = spec.include_body ?? (spec.allow_request_body === true ? {} : undefined);
  return {
    services: [...services].sort((a, b) => (a.cluster < b.cluster ? -1 : 1)),
    timeoutMs: spec.timeout_ms ?? 5000,
    // Over gRPC the service is shown everything, and says itself what changes: as in 1.14 the rest is for HTTP.
    ...(isGrpc
      ? { protocol: "grpc" as const, shown: [], taken: [] }
      : {
          ...(spec.path_prefix === undefined || spec.path_prefix === ""
            ? {}
            : { pathPrefix: spec.path_prefix }),
          shown: names([...SHOWN, ...(spec.allowed_request_headers ?? [])]),
          ...(added.length === 0 ? {} : { added }),
          taken: names([...TAKEN, ...listed]),
          ...(owned.length === 0 ? {} : { owned }),
        }),
    ...(body === undefined
      ? {}
      : { body: { maxBytes: body.max_bytes ?? 4096, allowPartial: body.allow_partial ?? true } }),
    ...(spec.failure_mode_allow === true ? { allowOnError: true as const } : {}),
    statusOnError: spec.status_on_error?.code ?? 403,
  };
}

function names(written: readonly string[] = []): string[] {
  return [...new Set(written.map((name) => name.toLowerCase()))]
    .filter((name) => !FRAMING_FIELDS.has(name))
    .sort();
}

function reportFraming(service: AuthServiceResource, diagnostics: Diagnostic[]): void {
  for (const field of [
    "allowed_request_headers",
    "allowed_authorization_headers",
    "add_auth_headers",
  ] as const) {
    const value = service.spec[field] ?? [];
    for (const name of Array.isArray(value) ? value : Object.keys(value)) {
      if (!FRAMING_FIELDS.has(name.toLowerCase())) continue;
      diagnostics.push(
        diagnose("header-not-changed", {
          subject: subjectOf({ ...service, kind: service.writtenAs }),
          source: positionOf(service, field),
          message: `${field}: ${name} frames the message or chooses its connection, and is left as it is`,
        }),
      );
    }
  }
}

/** 1.14's defaults. A client is meant to send these, and the service is always shown them: they are never `owned`. */
const SHOWN = [
  "authorization",
  "cookie",
  "from",
  "proxy-authorization",
  "user-agent",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
];
const TAKEN = ["authorization", "location", "proxy-authenticate", "set-cookie", "www-authenticate"];
