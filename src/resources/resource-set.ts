import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Effect } from "../diagnostics/diagnostic.ts";
import type { AuthServiceResource } from "./auth-service.ts";
import type { AnnotatedResource, AnyResource } from "./envelope.ts";
import { isRecord } from "./fields.ts";
import type { GuardResource } from "./guard.ts";
import type { HostResource } from "./host.ts";
import { type IngressClassResource, type IngressResource, withIngressClosed } from "./ingress.ts";
import type { MappingResource } from "./mapping.ts";
import { type ModuleResource, restrictions } from "./module.ts";
import { isOutsideService, type OutsideServiceResource } from "./outside-service.ts";
import { subjectOf } from "./resource.ts";
import { isResolverKind, type ResolverResource } from "./resolver.ts";
import type { TcpMappingResource } from "./tcp-mapping.ts";
import type { TlsContextResource } from "./tls-context.ts";
import { type TlsModuleResource, withBlocksClosed } from "./tls-module.ts";

/** The world as parsed: immutable, each list sorted by namespace and name, so that no order of files decides anything. */
export interface ResourceSet {
  readonly mappings: readonly MappingResource[];
  readonly tcpMappings: readonly TcpMappingResource[];
  readonly tlsContexts: readonly TlsContextResource[];
  readonly modules: readonly ModuleResource[];
  readonly resolvers: readonly ResolverResource[];
  readonly authServices: readonly AuthServiceResource[];
  readonly outsideServices: readonly OutsideServiceResource[];
  readonly guards: readonly GuardResource[];
  readonly hosts: readonly HostResource[];
  readonly tlsModules: readonly TlsModuleResource[];
  readonly ingresses: readonly IngressResource[];
  readonly ingressClasses: readonly IngressClassResource[];
}

export interface SettledSet {
  readonly resources: ResourceSet;
  /** What there was to say of several objects with one name; empty: no name has several. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Of two different objects with one name neither is taken; repeated ones count once (design §9). */
export function createResourceSet(objects: readonly AnyResource[]): SettledSet {
  const byIdentity = new Map<string, AnyResource[]>();
  for (const object of objects.flatMap(unwrapped)) {
    const key = identityOf(object);
    const group = byIdentity.get(key);
    if (group === undefined) byIdentity.set(key, [object]);
    else group.push(object);
  }
  const kept: AnyResource[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const found of byIdentity.values()) {
    const group = found.length === 1 ? found : [...found].sort(byPlace);
    const [first] = group as [AnyResource];
    if (group.length === 1) {
      kept.push(first);
      continue;
    }
    const written = contentOf(first);
    const same = group.every((object) => contentOf(object) === written);
    kept.push(...(same ? [first] : refuse(group)));
    for (const object of group) {
      const others = group
        .filter((other) => other !== object)
        .map(({ raw }) => `${raw.source.file}:${raw.source.line}`);
      diagnostics.push(
        diagnose(same ? "object-repeated" : "object-duplicate", {
          ...(same ? {} : { effect: effectOfTwo(object) }),
          subject: subjectOf(object),
          source: object.raw.source,
          message: `${kindOf(object)} ${object.name} in namespace ${object.namespace} also stands at ${others.sort().join(", ")}`,
        }),
      );
    }
  }
  const ofKind = <T extends AnyResource>(kind: T["kind"]): T[] =>
    (kept.filter((object) => object.kind === kind) as T[]).sort(byNamespaceAndName);
  return {
    resources: {
      mappings: ofKind<MappingResource>("Mapping"),
      tcpMappings: ofKind<TcpMappingResource>("TCPMapping"),
      tlsContexts: ofKind<TlsContextResource>("TLSContext"),
      modules: ofKind<ModuleResource>("Module"),
      resolvers: kept
        .filter((object): object is ResolverResource => isResolverKind(object.kind))
        .sort(byNamespaceAndName),
      authServices: ofKind<AuthServiceResource>("AuthService"),
      outsideServices: kept
        .filter((object): object is OutsideServiceResource => isOutsideService(object.kind))
        .sort(byNamespaceAndName),
      guards: ofKind<GuardResource>("Guard"),
      hosts: ofKind<HostResource>("Host"),
      tlsModules: ofKind<TlsModuleResource>("TlsModule"),
      ingresses: ofKind<IngressResource>("Ingress"),
      ingressClasses: ofKind<IngressClassResource>("IngressClass"),
    },
    diagnostics,
  };
}

/** What an annotation holds counts as objects of their own. */
export function unwrapped(object: AnyResource): readonly Exclude<AnyResource, AnnotatedResource>[] {
  return object.kind === "Annotated" ? object.spec.resources.flatMap(unwrapped) : [object];
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
function refuse(group: readonly AnyResource[]): AnyResource[] {
  const sorted = [...group].sort(byNamespaceAndName);
  const [first] = sorted as [AnyResource];
  if (first.kind === "Mapping")
    return (sorted as MappingResource[]).map((object) => ({ ...object, closedBy: "object-duplicate" }));
  if (first.kind === "TCPMapping")
    return (sorted as TcpMappingResource[]).map((object) => ({ ...object, closedBy: "object-duplicate" }));
  if (first.kind === "AuthService")
    return (sorted as AuthServiceResource[]).map((object) => ({ ...object, closedBy: "object-duplicate" }));
  if (first.kind === "TLSContext") {
    const all = sorted as TlsContextResource[];
    const hosts = [...new Set(all.flatMap(({ spec }) => spec.hosts ?? []))].sort();
    const terminates = all.some((context) => context.terminates);
    return [{ ...first, spec: { hosts }, closedBy: "object-duplicate", terminates }];
  }
  if (first.kind === "Host")
    return (sorted as HostResource[]).map((object) => ({ ...object, closedBy: "object-duplicate" }));
  if (first.kind === "Ingress")
    return (sorted as IngressResource[]).map((object) => withIngressClosed(object, "object-duplicate"));
  if (first.kind === "TlsModule")
    return (sorted as TlsModuleResource[]).map((object) => withBlocksClosed(object, "object-duplicate"));
  if (isOutsideService(first.kind)) return [];
  if (isResolverKind(first.kind))
    return [{ ...(first as ResolverResource), spec: {}, closedBy: "object-duplicate" }];
  if (first.kind === "Module") {
    const all = sorted as ModuleResource[];
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
    const tls = all.flatMap((module) => (module.tls === null ? [] : module.tls.spec.blocks));
    const closed = withBlocksClosed(
      {
        kind: "TlsModule",
        namespace: first.namespace,
        name: first.name,
        spec: { blocks: tls },
        raw: first.raw,
      },
      "object-duplicate",
    );
    return [{ ...first, spec, unenforced, tls: tls.length === 0 ? null : closed }];
  }
  return sorted;
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

/** What they say decides only between two of one name, which are rare: it costs more than all the rest. */
export function byNamespaceAndName(a: AnyResource, b: AnyResource): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  const left = JSON.stringify(a.spec);
  const right = JSON.stringify(b.spec);
  return left < right ? -1 : left > right ? 1 : 0;
}
