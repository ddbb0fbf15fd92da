import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { isRecord } from "./fields.ts";
import { type MappingResource, parseMapping } from "./mapping.ts";
import { type ModuleResource, parseModule } from "./module.ts";
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
    metadata.name === ""
  ) {
    return found("kind-missing", UNNAMED, raw, "apiVersion, kind or metadata.name is missing");
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
  if (!/^getambassador\.io\/v[012]$/.test(apiVersion)) {
    return found("api-version-unknown", subject, raw, `${apiVersion} is not known`, "apiVersion");
  }
  const spec = isRecord(value.spec) ? value.spec : {};
  if (!isSelected(spec.ambassador_id ?? spec.ambassadorId, ambassadorId)) return NOTHING;
  return parseKind(kind, identity, spec, raw, subject);
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
      if (identity.name === "ambassador") return { ...parseModule(identity, spec, raw), secret: null };
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
