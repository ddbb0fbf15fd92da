import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { type FieldTable, isRecord, readFields, SELECTION_FIELDS } from "./fields.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";
import { withTlsAnnotation } from "./tls-annotation.ts";
import { GUARDING_TLS_FIELDS, TLS_CONTEXT_FIELDS } from "./tls-context-fields.ts";

/** A Host and the old Modules have most of these fields too. */
export const TLS_CONTEXT = Type.Object(TLS_CONTEXT_FIELDS);

export type TlsContextSpec = Static<typeof TLS_CONTEXT>;

export interface TlsContextResource extends Resource<"TLSContext", TlsContextSpec> {
  /** The diagnostic that makes the whole context unusable, null where all of it is understood. */
  readonly closedBy: string | null;
  /** It is there to serve names over TLS, also where none of them can be read: cleartext is then not opened either. */
  readonly terminates: boolean;
  /** The Host, Ingress or Module that implies it; absent for a TLSContext that somebody wrote. */
  readonly writtenIn?: Subject;
  /** Issued by the agent of the resolver of whoever names it: `connectVariant` is there for the others. */
  readonly followsResolver?: true;
  /** `secret` is a name of this namespace, whatever dots it has: a Host's tlsSecret. */
  readonly isWholeName?: true;
}

/** Reads a TLSContext. A bad field makes it unusable rather than absent: what names it fails closed (design §4.1). */
export function parseTlsContext(
  identity: { namespace: string; name: string },
  value: unknown,
  written: RawObject,
): { resource: TlsContextResource; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "TLSContext", ...identity });
  const annotated = withTlsAnnotation(value, subject, written);
  const { raw } = annotated;
  const diagnostics: Diagnostic[] = [];
  let given = annotated.spec;
  if (isRecord(given) && "host" in given) {
    const { host, hosts, ...rest } = given;
    given = { ...rest, hosts: [...asList(hosts), ...asList(host)] };
    diagnostics.push(
      diagnose("hosts-misspelt", {
        subject,
        source: positionOf({ raw }, "host"),
        message: "`host` is read as `hosts`",
      }),
    );
  }
  const read = readFields(given, TABLE, subject, raw);
  const names = isRecord(given) ? asList(given.hosts) : [];
  // Names that can be read are refused; those that cannot must not be served in cleartext for that.
  const hosts = names.filter((host): host is string => typeof host === "string");
  const terminates = names.length > 0 || read.misspelt.has("hosts");
  for (const found of [...annotated.diagnostics, ...read.diagnostics]) {
    const closes = found.code === "field-invalid" || found.effect === "route-fails-closed";
    const effect = terminates ? ("host-refused" as const) : ("route-fails-closed" as const);
    diagnostics.push(closes ? { ...found, effect } : found);
  }
  const isBad = read.bad.size > 0 || annotated.unreadable;
  const closedBy = isBad ? "field-invalid" : read.misspelt.size > 0 ? "field-unknown" : null;
  const spec = { ...(read.spec as TlsContextSpec), ...(names.length > 0 ? { hosts } : {}) };
  return { resource: { kind: "TLSContext", ...identity, spec, raw, closedBy, terminates }, diagnostics };
}

function asList(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null ? [] : [value];
}

/** The store's name for certificates that a context names by path. */
export function fileCredentialName(
  context: Pick<TlsContextResource, "namespace" | "name" | "writtenIn">,
): string {
  const { namespace, name, writtenIn } = context;
  return `files/${namespace}/${writtenIn === undefined ? name : `${writtenIn.kind.toLowerCase()}/${name}`}`;
}

/** A context that some other object implies; its fields stand where `raw` says. */
export function impliedContext(
  writtenIn: Subject,
  name: string,
  spec: TlsContextSpec,
  raw: RawObject,
  closedBy: string | null,
): TlsContextResource {
  const terminates = (spec.hosts ?? []).length > 0;
  return {
    kind: "TLSContext",
    namespace: writtenIn.namespace,
    name,
    spec,
    raw,
    closedBy,
    terminates,
    writtenIn,
  };
}

/** The files to watch for a context; null where it names none. */
export function certificateFiles(context: TlsContextResource): {
  readonly name: string;
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly trustAnchors?: string;
  readonly crl?: string;
  readonly ocspStaple?: string;
} | null {
  const { cert_chain_file, private_key_file, cacert_chain_file, ocsp_staple_file, verify } = context.spec;
  const crl_file = verify?.crl_file;
  const paths = [cert_chain_file, private_key_file, cacert_chain_file, crl_file, ocsp_staple_file];
  if (paths.every((path) => path === undefined)) return null;
  return {
    name: fileCredentialName(context),
    ...(cert_chain_file === undefined ? {} : { certificateChain: cert_chain_file }),
    ...(private_key_file === undefined ? {} : { privateKey: private_key_file }),
    ...(cacert_chain_file === undefined ? {} : { trustAnchors: cacert_chain_file }),
    ...(crl_file === undefined ? {} : { crl: crl_file }),
    ...(ocsp_staple_file === undefined ? {} : { ocspStaple: ocsp_staple_file }),
  };
}

const TABLE: FieldTable = {
  properties: { ...TLS_CONTEXT.properties, ...SELECTION_FIELDS },
  required: [],
  ignored: [],
  guarding: ["hosts", "secret", ...GUARDING_TLS_FIELDS],
};
