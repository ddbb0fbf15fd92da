import { diagnose, type KnownCode } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { type AuthServiceResource, parseAuthenticationModule, parseAuthService } from "./auth-service.ts";
import { type GuardResource, guardRules } from "./guard.ts";
import { type HostResource, parseHost } from "./host.ts";
import type { IngressClassResource, IngressResource } from "./ingress.ts";
import { type MappingResource, parseMapping } from "./mapping.ts";
import { type ModuleResource, parseModule } from "./module.ts";
import { isOutsideService, type OutsideServiceResource, parseOutsideService } from "./outside-service.ts";
import { isResolverKind, parseResolver, type ResolverResource } from "./resolver.ts";
import type { RawObject, Resource } from "./resource.ts";
import type { SecretMaterial } from "./secret.ts";
import { parseTcpMapping, type TcpMappingResource } from "./tcp-mapping.ts";
import { parseTlsContext, type TlsContextResource } from "./tls-context.ts";
import { parseTlsModule, type TlsModuleResource } from "./tls-module.ts";

/** An object with others in its annotation; the ResourceSet has them, not it. */
export type AnnotatedResource = Resource<"Annotated", { readonly resources: readonly AnyResource[] }>;

export type AnyResource =
  | MappingResource
  | TcpMappingResource
  | TlsContextResource
  | ModuleResource
  | ResolverResource
  | AuthServiceResource
  | OutsideServiceResource
  | GuardResource
  | HostResource
  | IngressResource
  | IngressClassResource
  | TlsModuleResource
  | AnnotatedResource;

export interface ParsedObject {
  readonly resource: AnyResource | null;
  readonly secret: {
    readonly namespace: string;
    readonly name: string;
    readonly material: SecretMaterial;
  } | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads an object of a kind of Ambassador's, each kind by its own file. */
export function parseKind(
  kind: string,
  identity: { namespace: string; name: string },
  spec: Readonly<Record<string, unknown>>,
  raw: RawObject,
): ParsedObject {
  const subject: Subject = { kind, ...identity };
  switch (kind) {
    case "Mapping":
      return { ...parseMapping(identity, spec, raw), secret: null };
    case "TCPMapping":
      return { ...parseTcpMapping(identity, spec, raw), secret: null };
    case "TLSContext":
      return { ...parseTlsContext(identity, spec, raw), secret: null };
    case "Module":
      if (identity.name === "ambassador") return { ...parseModule(identity, spec, raw), secret: null };
      if (identity.name === "authentication")
        return { ...parseAuthenticationModule(identity, spec.config, raw), secret: null };
      if (identity.name === "tls")
        return { ...parseTlsModule(identity, spec.config, { subject, raw }), secret: null };
      return unread("kind-not-supported", subject, raw, `Module ${identity.name} is not acted on`);
    case "Host":
      return { ...parseHost(identity, spec, raw), secret: null };
    case "AuthService":
      return { ...parseAuthService(identity, spec, raw), secret: null };
    case "Filter":
    case "FilterPolicy":
      return guard(subject, spec, raw);
    default:
      if (isOutsideService(kind)) return { ...parseOutsideService(kind, identity, spec, raw), secret: null };
      if (isResolverKind(kind)) return { ...parseResolver(kind, identity, spec, raw), secret: null };
      return unread("kind-not-supported", subject, raw, `${kind} is not acted on by this version`, "kind");
  }
}

function guard(subject: Subject, spec: Readonly<Record<string, unknown>>, raw: RawObject): ParsedObject {
  const { kind, namespace, name } = subject;
  const message = `${kind} ${name} guards access and cannot be enforced by this version`;
  const diagnostics = [diagnose("access-control-not-enforced", { subject, source: raw.source, message })];
  const rules = kind === "FilterPolicy" ? guardRules(spec) : null;
  return {
    resource: { kind: "Guard", namespace, name, spec: { kind, rules }, raw },
    secret: null,
    diagnostics,
  };
}

/** No resource, and why: at `field`, or the object as a whole. */
export function unread(
  code: KnownCode,
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
