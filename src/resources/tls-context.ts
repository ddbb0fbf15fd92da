import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { type FieldTable, isRecord, readFields } from "./fields.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";

const Text = (description: string): ReturnType<typeof Type.String> =>
  Type.String({ minLength: 1, description });

const Spec = Type.Object({
  hosts: Type.Optional(Type.Array(Type.String(), { description: "a list of host names" })),
  secret: Type.Optional(Text("the name of a Secret")),
  ca_secret: Type.Optional(Text("the name of a Secret")),
  cert_chain_file: Type.Optional(Text("a path")),
  private_key_file: Type.Optional(Text("a path")),
  cacert_chain_file: Type.Optional(Text("a path")),
  alpn_protocols: Type.Optional(Text("protocol names, separated by commas")),
  cert_required: Type.Optional(Type.Boolean({ description: "true or false" })),
  min_tls_version: Type.Optional(Text("a TLS version")),
  max_tls_version: Type.Optional(Text("a TLS version")),
  cipher_suites: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), { description: "a list of cipher names" }),
  ),
  ecdh_curves: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), { description: "a list of group names" }),
  ),
  sni: Type.Optional(Type.String({ pattern: "^[A-Za-z0-9_.-]{1,253}$", description: "a host name" })),
  redirect_cleartext_from: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65535, description: "a port number" }),
  ),
  secret_namespacing: Type.Optional(Type.Boolean({ description: "true or false" })),
});

export type TlsContextSpec = Static<typeof Spec>;

export interface TlsContextResource extends Resource<"TLSContext", TlsContextSpec> {
  /** The diagnostic that makes the whole context unusable, null where all of it is understood. */
  readonly closedBy: string | null;
  /** It serves hosts, and which ones cannot be read: nothing may be served in cleartext by accident. */
  readonly hostsUnreadable: boolean;
}

/** Reads a TLSContext. A bad field makes it unusable rather than absent: what names it fails closed (design §4.1). */
export function parseTlsContext(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: TlsContextResource; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "TLSContext", ...identity });
  const diagnostics: Diagnostic[] = [];
  let given = value;
  if (isRecord(value) && "host" in value && !("hosts" in value)) {
    const { host, ...rest } = value;
    given = { ...rest, hosts: typeof host === "string" ? [host] : host };
    diagnostics.push(
      diagnose("hosts-misspelt", {
        subject,
        source: positionOf({ raw }, "host"),
        message: "`host` is read as `hosts`",
      }),
    );
  }
  const read = readFields(given, TABLE, subject, raw);
  const hostsUnreadable = read.bad.has("hosts");
  const serves = hostsUnreadable || ((read.spec as TlsContextSpec).hosts ?? []).length > 0;
  const effect = serves ? "host-refused" : "route-fails-closed";
  for (const found of read.diagnostics) {
    diagnostics.push(found.code === "field-invalid" ? { ...found, effect } : found);
  }
  const closedBy = read.bad.size > 0 ? "tls-context-invalid" : null;
  const spec = read.spec as TlsContextSpec;
  return { resource: { kind: "TLSContext", ...identity, spec, raw, closedBy, hostsUnreadable }, diagnostics };
}

/** The store's name for certificates that a context names by path. */
export function fileCredentialName(context: { namespace: string; name: string }): string {
  return `files/${context.namespace}/${context.name}`;
}

/** The files to watch for a context; null where it names none. */
export function certificateFiles(context: TlsContextResource): {
  readonly name: string;
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly trustAnchors?: string;
} | null {
  const { cert_chain_file, private_key_file, cacert_chain_file } = context.spec;
  if (cert_chain_file === undefined && private_key_file === undefined && cacert_chain_file === undefined)
    return null;
  return {
    name: fileCredentialName(context),
    ...(cert_chain_file === undefined ? {} : { certificateChain: cert_chain_file }),
    ...(private_key_file === undefined ? {} : { privateKey: private_key_file }),
    ...(cacert_chain_file === undefined ? {} : { trustAnchors: cacert_chain_file }),
  };
}

const TABLE: FieldTable = {
  properties: { ...Spec.properties, ambassador_id: Type.Unknown(), ambassadorId: Type.Unknown() },
  required: [],
  ignored: [],
};
