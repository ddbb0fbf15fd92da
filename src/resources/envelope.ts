import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { isRecord } from "./fields.ts";
import { type MappingResource, parseMapping } from "./mapping.ts";
import { type ModuleResource, parseModule, servesTls } from "./module.ts";
import { nearest } from "./nearest.ts";
import type { RawObject, Resource } from "./resource.ts";
import { parseSecret, type SecretMaterial } from "./secret.ts";
import { parseTlsContext, type TlsContextResource } from "./tls-context.ts";

/** An object that guards access and that this version cannot enforce: every route is closed while it stands (design §9). */
export type GuardResource = Resource<"Guard", { readonly kind: string }>;
/** A Host is not acted on yet; its hostname is closed rather than served without the TLS it asks for. */
export type UnservedHost = Resource<"Host", { readonly hostname: string }>;

export type AnyResource =
  | MappingResource
  | TlsContextResource
  | ModuleResource
  | GuardResource
  | UnservedHost;

export interface ParsedObject {
  readonly resource: AnyResource | null;
  readonly secret: {
    readonly namespace: string;
    readonly name: string;
    readonly material: SecretMaterial;
  } | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** From a document to a resource: which kind it is, whether it is meant for us, and what it says. Never throws. */
export function parseObject(raw: RawObject, ambassadorId: string): ParsedObject {
  const { value } = raw;
  if (!isRecord(value)) return found("kind-missing", UNNAMED, raw, "the document is no map");
  const { kind, apiVersion } = value;
  const metadata = isRecord(value.metadata) ? value.metadata : {};
  if (
    typeof kind !== "string" ||
    typeof apiVersion !== "string" ||
    typeof metadata.name !== "string" ||
    !OBJECT_NAME.test(metadata.name) ||
    (metadata.namespace !== undefined && !OBJECT_NAME.test(String(metadata.namespace)))
  ) {
    return found("kind-missing", UNNAMED, raw, "apiVersion, kind or metadata.name is missing or malformed");
  }
  const namespace =
    typeof metadata.namespace === "string" && metadata.namespace !== "" ? metadata.namespace : "default";
  const identity = { namespace, name: metadata.name };
  const subject: Subject = { kind, ...identity };
  if (apiVersion === "v1" && kind === "Secret") {
    const { material, diagnostics } = parseSecret(identity, value, raw);
    return { resource: null, secret: material === null ? null : { ...identity, material }, diagnostics };
  }
  if (!AMBASSADOR_KINDS.has(kind) || !apiVersion.includes("getambassador.io")) {
    if (OTHER_KINDS.has(kind)) return NOTHING;
    const near = nearest(kind, [...AMBASSADOR_KINDS, "Secret"]);
    const remedy = near === undefined ? undefined : `Did you mean \`${near}\`?`;
    return found(
      "kind-unknown",
      subject,
      raw,
      `${apiVersion} ${kind} is no kind that is read here`,
      "kind",
      remedy,
    );
  }
  const spec = isRecord(value.spec) ? value.spec : {};
  if (!isSelected(spec.ambassador_id ?? spec.ambassadorId, ambassadorId)) return NOTHING;
  const parsed = parseKind(kind, identity, spec, raw, subject);
  if (/^getambassador\.io\/v[012]$/.test(apiVersion)) return parsed;
  const unknown = found("api-version-unknown", subject, raw, `${apiVersion} is not known`, "apiVersion");
  const effect = kind === "Mapping" ? ("route-fails-closed" as const) : ("object-ignored" as const);
  const diagnostics = unknown.diagnostics.map((diagnostic) => ({ ...diagnostic, effect }));
  return { resource: closed(parsed.resource), secret: null, diagnostics };
}

/** Of a version that is not known an object does nothing but close: what it guards, serves or takes stays shut. */
function closed(resource: AnyResource | null): AnyResource | null {
  if (resource?.kind === "Mapping" || resource?.kind === "TLSContext")
    return { ...resource, closedBy: "api-version-unknown" };
  if (resource?.kind === "Module") return { ...resource, spec: {} };
  return resource;
}

function parseKind(
  kind: string,
  identity: { namespace: string; name: string },
  spec: Readonly<Record<string, unknown>>,
  raw: RawObject,
  subject: Subject,
): ParsedObject {
  switch (kind) {
    case "Mapping":
      return { ...parseMapping(identity, spec, raw), secret: null };
    case "TLSContext":
      return { ...parseTlsContext(identity, spec, raw), secret: null };
    case "Module":
      if (identity.name === "ambassador") {
        const parsed = parseModule(identity, spec, raw);
        const config = isRecord(spec.config) ? spec.config : {};
        return servesTls(config.tls)
          ? everyHostClosed(identity, raw, subject, parsed)
          : { ...parsed, secret: null };
      }
      if (identity.name === "tls" && servesTls(spec.config))
        return everyHostClosed(identity, raw, subject, null);
      return found("kind-not-supported", subject, raw, `Module ${identity.name} is not acted on`);
    case "Host": {
      const hostname =
        typeof spec.hostname === "string" && spec.hostname !== "" ? spec.hostname.toLowerCase() : "*";
      const message = `Host is not acted on by this version; ${hostname} is refused, not served without its TLS`;
      const diagnostics = [
        diagnose("kind-not-supported", {
          subject,
          source: raw.source,
          message,
          severity: "error",
          effect: "host-refused",
        }),
      ];
      return { resource: { kind: "Host", ...identity, spec: { hostname }, raw }, secret: null, diagnostics };
    }
    case "AuthService":
    case "Filter":
    case "FilterPolicy": {
      const message = `${kind} ${identity.name} guards access and cannot be enforced by this version`;
      const diagnostics = [diagnose("access-control-not-enforced", { subject, source: raw.source, message })];
      return { resource: { kind: "Guard", ...identity, spec: { kind }, raw }, secret: null, diagnostics };
    }
    default:
      return found("kind-not-supported", subject, raw, `${kind} is not acted on by this version`, "kind");
  }
}

/** TLS that a Module asks for and that is not acted on: every host that no TLSContext serves is refused. */
function everyHostClosed(
  identity: { namespace: string; name: string },
  raw: RawObject,
  subject: Subject,
  module: ReturnType<typeof parseModule> | null,
): ParsedObject {
  const message = "TLS termination by Module is not acted on; hosts are refused, not served in cleartext";
  const remedy = "Write a TLSContext with `hosts`.";
  const diagnostic = diagnose("kind-not-supported", {
    subject,
    source: raw.source,
    message,
    remedy,
    severity: "error",
    effect: "host-refused",
  });
  const host: UnservedHost = { kind: "Host", ...identity, spec: { hostname: "*" }, raw };
  // The rest of such a Module is left out with it, but for what it guards.
  const guarded = (module?.resource.unenforced.length ?? 0) > 0;
  const guard: GuardResource = { kind: "Guard", ...identity, spec: { kind: "Module" }, raw };
  return {
    resource: guarded ? guard : host,
    secret: null,
    diagnostics: [...(module?.diagnostics ?? []), diagnostic],
  };
}

/** Reference §2.1: absent means `default`, `_automatic_` is anybody, an empty list is nobody. */
function isSelected(id: unknown, own: string): boolean {
  const ids = id === undefined || id === null ? ["default"] : Array.isArray(id) ? id : [id];
  return ids.includes(own) || ids.includes("_automatic_");
}

const AMBASSADOR_KINDS = new Set(
  (
    "Mapping TCPMapping TLSContext Host Module KubernetesServiceResolver KubernetesEndpointResolver ConsulResolver " +
    "AuthService RateLimitService LogService TracingService DevPortal Filter FilterPolicy RateLimit"
  ).split(" "),
);
/** Objects that stand beside ours in the same folders and are none of our business. */
const OTHER_KINDS = new Set(
  (
    "Service Deployment DaemonSet StatefulSet ReplicaSet Pod ConfigMap Namespace ServiceAccount Role RoleBinding " +
    "ClusterRole ClusterRoleBinding CustomResourceDefinition Job CronJob PodDisruptionBudget HorizontalPodAutoscaler " +
    "NetworkPolicy PersistentVolumeClaim Endpoints EndpointSlice"
  ).split(" "),
);
/** As Kubernetes names objects, and no control character for a terminal to obey. */
const OBJECT_NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$/;
const UNNAMED: Subject = { kind: "", namespace: "", name: "" };
const NOTHING: ParsedObject = { resource: null, secret: null, diagnostics: [] };

function found(
  code: Parameters<typeof diagnose>[0],
  subject: Subject,
  raw: RawObject,
  message: string,
  field?: string,
  remedy?: string,
): ParsedObject {
  const source = (field === undefined ? undefined : raw.fields.get(field)) ?? raw.source;
  const diagnostic = diagnose(code, {
    subject,
    source,
    message,
    ...(remedy === undefined ? {} : { remedy }),
  });
  return { resource: null, secret: null, diagnostics: [diagnostic] };
}
