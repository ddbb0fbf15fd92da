import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import { type FieldTable, isRecord, readFields } from "./fields.ts";
import type { RawObject } from "./resource.ts";
import { TLS_CONTEXT } from "./tls-context.ts";
import { GUARDING_TLS_FIELDS } from "./tls-context-fields.ts";

/** Fields of a Host's `tls` (reference §2.6): a TLSContext's, but for those that the Host says itself. */
export const HOST_TLS = Type.Pick(TLS_CONTEXT, [
  "alpn_protocols",
  "ca_secret",
  "cacert_chain_file",
  "cert_chain_file",
  "cert_required",
  "cipher_suites",
  "ecdh_curves",
  "max_tls_version",
  "min_tls_version",
  "ocsp_staple_file",
  "private_key_file",
  "redirect_cleartext_from",
  "sni",
  "verify",
]);

export type HostTls = Static<typeof HOST_TLS>;

export interface ReadHostTls {
  readonly tls: HostTls;
  /** The diagnostic that closes the Host, null where all of it is understood. */
  readonly closedBy: string | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads a Host's inline `tls`, each field in snake_case or in camelCase. */
export function parseHostTls(value: unknown, subject: Subject, raw: RawObject): ReadHostTls {
  const source = raw.fields.get("spec.tls") ?? raw.source;
  if (!isRecord(value)) {
    const message = "tls must be a map of a TLSContext's fields";
    return {
      tls: {},
      closedBy: "field-invalid",
      diagnostics: [diagnose("field-invalid", { subject, source, message })],
    };
  }
  const given: Record<string, unknown> = {};
  const fields = new Map<string, SourcePosition>();
  const twice: string[] = [];
  for (const [written, field] of Object.entries(value)) {
    const name = Object.hasOwn(SNAKE_CASE, written) ? (SNAKE_CASE[written] as string) : written;
    if (Object.hasOwn(given, name) && JSON.stringify(given[name]) !== JSON.stringify(field)) twice.push(name);
    given[name] = field;
    fields.set(`spec.${name}`, raw.fields.get(`spec.tls.${written}`) ?? source);
  }
  const read = readFields(given, TABLE, subject, { ...raw, source, fields });
  const diagnostics = [...read.diagnostics];
  for (const name of twice) {
    const message = `${name} is written in two ways, with two values`;
    const place = fields.get(`spec.${name}`) ?? source;
    diagnostics.push(diagnose("field-invalid", { subject, source: place, message }));
  }
  const isBad = read.bad.size > 0 || twice.length > 0;
  const closedBy = isBad ? "field-invalid" : read.misspelt.size > 0 ? "field-unknown" : null;
  return { tls: read.spec as HostTls, closedBy, diagnostics };
}

/** The other way to write a field: `cert_required`, `certRequired`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** 1.14 takes either form; `sni` is the same in both. */
const SNAKE_CASE: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(HOST_TLS.properties).map((name) => [camelCase(name), name]),
);

const TABLE: FieldTable = {
  properties: HOST_TLS.properties,
  required: [],
  ignored: [],
  guarding: [...GUARDING_TLS_FIELDS],
};
