import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { AuthServiceResource } from "./auth-service.ts";
import type { AnnotatedResource, AnyResource } from "./kinds.ts";
import type { GuardResource } from "./guard.ts";
import type { HostResource } from "./host.ts";
import type { IngressClassResource, IngressResource } from "./ingress.ts";
import type { MappingResource } from "./mapping.ts";
import type { ModuleResource } from "./module.ts";
import { identityOf, settleNamesakes } from "./namesakes.ts";
import { isOutsideService, type OutsideServiceResource } from "./outside-service.ts";
import { byNamespaceAndName } from "./resource.ts";
import { isResolverKind, type ResolverResource } from "./resolver.ts";
import type { TcpMappingResource } from "./tcp-mapping.ts";
import type { TlsContextResource } from "./tls-context.ts";
import type { TlsModuleResource } from "./tls-module.ts";

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
    const [only] = found as [AnyResource];
    if (found.length === 1) kept.push(only);
    else {
      const settled = settleNamesakes(found);
      kept.push(...settled.kept);
      diagnostics.push(...settled.diagnostics);
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
