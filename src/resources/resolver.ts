import { type Static, Type } from "typebox";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { doc } from "./field-doc.ts";
import { type FieldTable, readFields, SELECTION_FIELDS } from "./fields.ts";
import { type RawObject, type Resource, subjectOf } from "./resource.ts";

/** Fields of a ConsulResolver (reference §2.9); the other resolvers have none. */
export const CONSUL_RESOLVER = Type.Object({
  address: Type.String({
    pattern: "^(?:https?://)?[!-~]+$",
    ...doc({
      is: "[scheme://]host[:port]",
      does: "Where Consul's HTTP API is; $VAR is taken from the environment.",
      example: "consul-server.default.svc.cluster.local:8500",
    }),
  }),
  datacenter: Type.String({
    minLength: 1,
    ...doc({ is: "a datacenter's name", does: "The datacenter that is asked.", example: "dc1" }),
  }),
  tags: Type.Optional(
    Type.Array(
      Type.String({ minLength: 1 }),
      doc({
        is: "a list of tags",
        does: "Only instances that are registered with all of them are used.",
        byDefault: "none",
        example: ["v2"],
        note: "An extension: 1.14 uses every instance.",
      }),
    ),
  ),
});

export type ResolverKind = "KubernetesServiceResolver" | "KubernetesEndpointResolver" | "ConsulResolver";

export interface ResolverResource extends Resource<ResolverKind, Partial<Static<typeof CONSUL_RESOLVER>>> {
  /** The diagnostic that closes what names it, null where all of it is understood. */
  readonly closedBy: string | null;
}

/** Whether a kind is that of a resolver. */
export function isResolverKind(kind: string): kind is ResolverKind {
  return Object.hasOwn(TABLES, kind);
}

/** Reads a resolver; a bad one closes the Mappings that name it. */
export function parseResolver(
  kind: ResolverKind,
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: ResolverResource; diagnostics: Diagnostic[] } {
  const read = readFields(value, TABLES[kind], subjectOf({ kind, ...identity }), raw);
  const closedBy = read.bad.size > 0 || read.misspelt.size > 0 ? "field-invalid" : null;
  const diagnostics = read.diagnostics.map((found) =>
    found.code === "field-invalid" || found.code === "field-missing"
      ? { ...found, effect: "route-fails-closed" as const }
      : found,
  );
  return { resource: { kind, ...identity, spec: read.spec, raw, closedBy }, diagnostics };
}

/** One name in two namespaces: the gateway's own first. */
export function resolversByName(resources: readonly ResolverResource[]): Map<string, ResolverResource> {
  const sorted = [...resources].sort(
    (a, b) => Number(b.namespace === "default") - Number(a.namespace === "default"),
  );
  const found = new Map<string, ResolverResource>();
  for (const resource of sorted) if (!found.has(resource.name)) found.set(resource.name, resource);
  return found;
}

const PLAIN: FieldTable = { properties: SELECTION_FIELDS, required: [], ignored: [] };
const TABLES: Readonly<Record<ResolverKind, FieldTable>> = {
  KubernetesServiceResolver: PLAIN,
  KubernetesEndpointResolver: PLAIN,
  ConsulResolver: {
    properties: { ...SELECTION_FIELDS, ...CONSUL_RESOLVER.properties },
    required: ["address", "datacenter"],
    ignored: [],
    guarding: ["datacenter", "tags"],
    elsewhere: {
      namespace: ofEnterprise("namespace", "CONSUL_NAMESPACE"),
      partition: ofEnterprise("admin partition", "CONSUL_PARTITION"),
    },
  },
};

/** Services of one name in two namespaces are two services: the one that was not meant is not taken for the other. */
function ofEnterprise(what: string, variable: string): { readonly why: string; readonly remedy: string } {
  return {
    why: `the ${what} of Consul Enterprise is one for all resolvers, and set in the environment`,
    remedy: `Remove the field, and start Credence with ${variable} set: one process for each ${what}.`,
  };
}
