import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { annotationOf, readAnnotation } from "./annotation.ts";
import { isRecord } from "./fields.ts";
import { parseIngress, parseIngressClass } from "./ingress.ts";
import { type AnyResource, type ParsedObject, parseKind, unread } from "./kinds.ts";
import { restrictions } from "./module.ts";
import { nearest } from "./nearest.ts";
import type { RawObject } from "./resource.ts";
import { parseSecret } from "./secret.ts";
import { strayTlsAnnotation } from "./tls-annotation.ts";
import { hasServer, withBlocksClosed } from "./tls-module.ts";
import { variableFindings } from "./variables.ts";
import { withholdKeys } from "./withheld.ts";

/** From a document to a resource, with what its annotation holds: which kind it is, whether it is meant for us, and what it says. Never throws. */
export function parseObject(raw: RawObject, ambassadorId: string): ParsedObject {
  const own = parseDocument(raw, ambassadorId);
  const annotation = annotationOf(raw);
  if (annotation === undefined) return own;
  const { kind, metadata } = raw.value as { kind: string; metadata: Readonly<Record<string, unknown>> };
  const identity = { namespace: namespaceOf(metadata), name: String(metadata.name ?? "") };
  const subject = { kind, ...identity };
  const read = readAnnotation(annotation, subject, raw);
  const inside = read.objects.map((object) => parseDocument(object, ambassadorId));
  const resources = [own, ...inside].flatMap(({ resource }) => resource ?? []);
  return {
    resource: { kind: "Annotated", ...identity, spec: { resources }, raw: { ...raw, value: { kind } } },
    secret: null,
    diagnostics: [own, read, ...inside]
      .flatMap(({ diagnostics }) => diagnostics)
      // What has no name is said of the object around it.
      .map((found) => (found.subject === UNNAMED ? { ...found, subject } : found)),
  };
}

function namespaceOf({ namespace }: Readonly<Record<string, unknown>>): string {
  return typeof namespace === "string" && namespace !== "" ? namespace : "default";
}

function parseDocument(written: RawObject, ambassadorId: string): ParsedObject {
  const { raw, diagnostics } = withholdKeys(written);
  const parsed = parseEnvelope(raw, ambassadorId);
  return diagnostics.length === 0
    ? parsed
    : { ...parsed, diagnostics: [...parsed.diagnostics, ...diagnostics] };
}

function parseEnvelope(raw: RawObject, ambassadorId: string): ParsedObject {
  const { value } = raw;
  if (!isRecord(value)) return unread("kind-missing", UNNAMED, raw, "the document is no map");
  const { kind, apiVersion } = value;
  const metadata = isRecord(value.metadata) ? value.metadata : {};
  const namespace = namespaceOf(metadata);
  if (
    typeof kind !== "string" ||
    typeof apiVersion !== "string" ||
    typeof metadata.name !== "string" ||
    metadata.name === ""
  ) {
    const refused = unread("kind-missing", UNNAMED, raw, ...whatIsMissing(value, metadata));
    const identity = { namespace, name: `line-${raw.source.line}` };
    return typeof kind === "string" ? guarded(kind, identity, value, raw, ambassadorId, refused) : refused;
  }
  const identity = { namespace, name: metadata.name };
  const subject: Subject = { kind, ...identity };
  if (apiVersion === "v1" && kind === "Secret") {
    const { material, diagnostics } = parseSecret(identity, value, raw);
    return { resource: null, secret: material === null ? null : { ...identity, material }, diagnostics };
  }
  const isOurs = /^(?:[a-z0-9-]+\.)*getambassador\.io\/|^ambassador\//.test(apiVersion);
  if (!isOurs || !AMBASSADOR_KINDS.has(kind)) {
    const group = apiVersion.split("/")[0] as string;
    if (/^(?:networking\.k8s\.io\/v1(?:beta1)?|extensions\/v1beta1)$/.test(apiVersion)) {
      const annotations = isRecord(metadata.annotations) ? metadata.annotations : {};
      const isMeant = isSelected(annotations["getambassador.io/ambassador-id"], ambassadorId);
      if (kind === "Ingress")
        return isMeant ? { ...parseIngress(identity, value, annotations, raw), secret: null } : NOTHING;
      if (kind === "IngressClass")
        return isMeant ? { ...NOTHING, resource: parseIngressClass(identity, value, raw) } : NOTHING;
    }
    if (FOREIGN_KINDS[kind]?.test(group) === true)
      return unread("kind-not-supported", subject, raw, `${kind} is not acted on by this version`, "kind");
    if (OTHER_KINDS.has(kind)) return NOTHING;
    const near = nearest(kind, [...AMBASSADOR_KINDS, "Secret"]);
    const remedy = near === undefined ? undefined : `Did you mean \`${near}\`?`;
    const message = `${apiVersion} ${kind} is no kind that is read here`;
    const refused = unread("kind-unknown", subject, raw, message, "kind", remedy);
    return isOurs && near !== undefined
      ? guarded(near, identity, value, raw, ambassadorId, refused)
      : refused;
  }
  if (!/^getambassador\.io\/v[012]$/.test(apiVersion)) {
    const refused = unread("api-version-unknown", subject, raw, `${apiVersion} is not known`, "apiVersion");
    return guarded(kind, identity, value, raw, ambassadorId, refused);
  }
  const spec = isRecord(value.spec) ? value.spec : {};
  if (!isSelected(spec.ambassador_id ?? spec.ambassadorId, ambassadorId)) return NOTHING;
  const parsed = parseKind(kind, identity, spec, raw);
  const variables = kind === "ConsulResolver" ? [] : variableFindings(spec, raw, subject);
  const stray = kind === "TLSContext" ? null : strayTlsAnnotation(subject, raw);
  const more = stray === null ? variables : [...variables, stray];
  if (more.length === 0) return parsed;
  const { resource } = parsed;
  const isLess = stray !== null && resource?.kind === "Host";
  return {
    ...parsed,
    resource: isLess ? { ...resource, closedBy: resource.closedBy ?? stray.code } : resource,
    diagnostics: [...parsed.diagnostics, ...more],
  };
}

/**
 * An object whose envelope is refused. What it would have guarded stays closed all the same: access control closes the
 * routes, and names that were to be served over TLS are not served in cleartext instead (design §4.1).
 */
function guarded(
  kind: string,
  identity: { namespace: string; name: string },
  value: Readonly<Record<string, unknown>>,
  raw: RawObject,
  ambassadorId: string,
  refused: ParsedObject,
): ParsedObject {
  const spec = isRecord(value.spec) ? value.spec : value;
  if (!AMBASSADOR_KINDS.has(kind) || !isSelected(spec.ambassador_id ?? spec.ambassadorId, ambassadorId))
    return refused;
  const [diagnostic] = refused.diagnostics as [Diagnostic];
  const { resource } = parseKind(kind, identity, spec, raw);
  const closing = (kept: AnyResource, effect: Diagnostic["effect"]): ParsedObject => ({
    resource: kept,
    secret: null,
    diagnostics: [{ ...diagnostic, severity: "error", effect }],
  });
  if (resource?.kind === "Guard") return closing(resource, "route-fails-closed");
  if (resource?.kind === "AuthService")
    return closing({ ...resource, closedBy: diagnostic.code }, "route-fails-closed");
  if (resource?.kind === "Host") return closing({ ...resource, closedBy: diagnostic.code }, "host-refused");
  if (resource?.kind === "TlsModule" && hasServer(resource))
    return closing(withBlocksClosed(resource, diagnostic.code), "host-refused");
  if (resource?.kind === "TLSContext") {
    const effect = resource.terminates ? "host-refused" : "route-fails-closed";
    return closing({ ...resource, closedBy: diagnostic.code }, effect);
  }
  if (resource?.kind === "Module" && [...resource.unenforced, ...restrictions(resource)].length > 0)
    return closing({ kind: "Guard", ...identity, spec: { kind, rules: null }, raw }, "route-fails-closed");
  if (resource?.kind === "Module" && resource.tls !== null && hasServer(resource.tls))
    return closing(withBlocksClosed(resource.tls, diagnostic.code), "host-refused");
  return refused;
}

/** Reference §2.1: absent means `default`, `_automatic_` is anybody, an empty list is nobody. */
function isSelected(id: unknown, own: string): boolean {
  const ids = id === undefined || id === null ? ["default"] : Array.isArray(id) ? id : [id];
  return ids.includes(own) || ids.includes("_automatic_");
}

const AMBASSADOR_KINDS = new Set(
  (
    "Mapping TCPMapping TLSContext Host Module KubernetesServiceResolver KubernetesEndpointResolver ConsulResolver " +
    "AuthService RateLimitService LogService TracingService DevPortal Filter FilterPolicy RateLimit Project " +
    "ProjectController ProjectRevision Pragma CircuitBreaker OutlierDetection"
  ).split(" "),
);
/** Kinds of other groups that 1.14 acts on (reference §1). */
const FOREIGN_KINDS: Readonly<Record<string, RegExp>> = {
  Ingress: /^(?:extensions|networking\.k8s\.io|networking\.internal\.knative\.dev)$/,
  IngressClass: /^networking\.k8s\.io$/,
  GatewayClass: /^(?:networking\.x-k8s|gateway\.networking\.k8s)\.io$/,
  Gateway: /^(?:networking\.x-k8s|gateway\.networking\.k8s)\.io$/,
  HTTPRoute: /^(?:networking\.x-k8s|gateway\.networking\.k8s)\.io$/,
};
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

/** The message; and a remedy where the object is written as in an annotation, or is a list of others. */
function whatIsMissing(
  { apiVersion, kind, name, items }: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>>,
): [message: string, field: undefined, remedy?: string] {
  if (typeof kind === "string" && kind.endsWith("List") && items !== undefined) {
    const remedy =
      "Give its objects each as a document, or as a list under `items` of `apiVersion: v1`, `kind: List`.";
    return [`objects in a ${kind} like this one are not read`, undefined, remedy];
  }
  const lacking = Object.entries({ apiVersion, kind, "metadata.name": metadata.name })
    .filter(([, value]) => typeof value !== "string" || value === "")
    .map(([field, value]) => `${field} is ${value == null || value === "" ? "missing" : "no text"}`);
  const message = lacking.join(", ");
  if (typeof name !== "string" || metadata.name !== undefined) return [message, undefined];
  const remedy =
    "Objects look so in annotations only: in a file put `name` under `metadata`, and the fields under `spec`.";
  return [`${message}; name stands beside kind`, undefined, remedy];
}
