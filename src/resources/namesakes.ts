import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Effect } from "../diagnostics/diagnostic.ts";
import type { AuthServiceResource } from "./auth-service.ts";
import type { AnyResource } from "./kinds.ts";
import { isRecord } from "./fields.ts";
import type { HostResource } from "./host.ts";
import { type IngressResource, withIngressClosed } from "./ingress.ts";
import type { MappingResource } from "./mapping.ts";
import { type ModuleResource, restrictions } from "./module.ts";
import { isOutsideService } from "./outside-service.ts";
import { byNamespaceAndName, subjectOf } from "./resource.ts";
import { isResolverKind, type ResolverResource } from "./resolver.ts";
import type { TcpMappingResource } from "./tcp-mapping.ts";
import type { TlsContextResource } from "./tls-context.ts";
import { type TlsModuleResource, withBlocksClosed } from "./tls-module.ts";

/** Several objects of one identity: those that say the same count once, of different ones none is taken (design §9). */
export function settleNamesakes(found: readonly AnyResource[]): {
  readonly kept: readonly AnyResource[];
  readonly diagnostics: readonly Diagnostic[];
} {
  const group = [...found].sort(byPlace);
  const [first] = group as [AnyResource];
  const written = contentOf(first);
  const same = group.every((object) => contentOf(object) === written);
  const diagnostics = group.map((object) => {
    const others = group
      .filter((other) => other !== object)
      .map(({ raw }) => `${raw.source.file}:${raw.source.line}`);
    return diagnose(same ? "object-repeated" : "object-duplicate", {
      ...(same ? {} : { effect: effectOfTwo(object) }),
      subject: subjectOf(object),
      source: object.raw.source,
      message: `${kindOf(object)} ${object.name} in namespace ${object.namespace} also stands at ${others.sort().join(", ")}`,
    });
  });
  return { kept: same ? [first] : closed(group), diagnostics };
}

/** Two of one identity are two objects of one name. Written once for each: a change leaves nearly all of them as they are. */
export function identityOf(object: AnyResource): string {
  const known = IDENTITIES.get(object);
  if (known !== undefined) return known;
  const key = JSON.stringify([object.kind, kindOf(object), object.namespace, object.name]);
  IDENTITIES.set(object, key);
  return key;
}

const IDENTITIES = new WeakMap<AnyResource, string>();

/** The kind as its author knows it: that of a guard is written in the object. */
function kindOf(object: AnyResource): string {
  if (object.kind === "Guard") return object.spec.kind;
  if (object.kind === "AuthService") return object.writtenAs;
  return object.kind === "TlsModule" ? "Module" : object.kind;
}

/** All that an object says but for its envelope, with the keys of maps in one order; unread fields count as well. */
function contentOf(object: AnyResource): string {
  const { apiVersion: _, metadata: __, ...content } = object.raw.value as Readonly<Record<string, unknown>>;
  const closedBy = "closedBy" in object ? object.closedBy : null;
  return JSON.stringify({ content, closedBy }, (_key, value: unknown) =>
    isRecord(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : value,
  );
}

/**
 * Different objects of one name: none is used, and what any of them guards stays guarded. A Mapping keeps its place, a
 * context its hosts, a Module its restrictions: none of that may vanish because it was written twice.
 */
function closed(group: readonly AnyResource[]): AnyResource[] {
  const sorted = [...group].sort(byNamespaceAndName);
  const [first] = sorted as [AnyResource];
  switch (first.kind) {
    case "Mapping":
    case "TCPMapping":
    case "AuthService":
    case "Host":
      return (sorted as Closable[]).map((object) => ({ ...object, closedBy: DUPLICATE }));
    case "TLSContext":
      return [closedContext(sorted as TlsContextResource[])];
    case "Ingress":
      return (sorted as IngressResource[]).map((object) => withIngressClosed(object, DUPLICATE));
    case "TlsModule":
      return (sorted as TlsModuleResource[]).map((object) => withBlocksClosed(object, DUPLICATE));
    case "Module":
      return [closedModule(sorted as ModuleResource[])];
    default:
      if (isOutsideService(first.kind)) return [];
      if (isResolverKind(first.kind))
        return [{ ...(first as ResolverResource), spec: {}, closedBy: DUPLICATE }];
      return sorted;
  }
}

type Closable = MappingResource | TcpMappingResource | AuthServiceResource | HostResource;

const DUPLICATE = "object-duplicate";

function closedContext(all: readonly TlsContextResource[]): TlsContextResource {
  const [first] = all as [TlsContextResource];
  const hosts = [...new Set(all.flatMap(({ spec }) => spec.hosts ?? []))].sort();
  const terminates = all.some((context) => context.terminates);
  return { ...first, spec: { hosts }, closedBy: DUPLICATE, terminates };
}

/** What any of them restricts stays restricted. */
function closedModule(all: readonly ModuleResource[]): ModuleResource {
  const [first] = all as [ModuleResource];
  const spec = {
    ...(all.some((module) => module.spec.upstream_verification === "required")
      ? { upstream_verification: "required" as const }
      : {}),
    ...(all.some((module) => module.spec.reject_requests_with_escaped_slashes === true)
      ? { reject_requests_with_escaped_slashes: true }
      : {}),
    ...(all.some((module) => module.spec.x_forwarded_proto_redirect === true)
      ? { x_forwarded_proto_redirect: true }
      : {}),
  };
  const unenforced = [
    ...new Set(all.flatMap((module) => [...module.unenforced, ...restrictions(module)])),
  ].sort();
  const blocks = all.flatMap((module) => (module.tls === null ? [] : module.tls.spec.blocks));
  const { namespace, name, raw } = first;
  const tls =
    blocks.length === 0
      ? null
      : withBlocksClosed({ kind: "TlsModule", namespace, name, spec: { blocks }, raw }, DUPLICATE);
  return { ...first, spec, unenforced, tls };
}

/** What becomes of what two different objects of one name would have done. */
function effectOfTwo(object: AnyResource): Effect {
  switch (object.kind) {
    case "Host":
    case "Ingress":
    case "TlsModule":
      return "host-refused";
    case "TLSContext":
      return object.terminates ? "host-refused" : "route-fails-closed";
    case "TCPMapping":
      return "connections-refused";
    case "Mapping":
    case "AuthService":
    case "Guard":
    case "ConsulResolver":
    case "KubernetesEndpointResolver":
    case "KubernetesServiceResolver":
      return "route-fails-closed";
    default:
      return "object-ignored";
  }
}

function byPlace({ raw: { source: a } }: AnyResource, { raw: { source: b } }: AnyResource): number {
  return a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line;
}
