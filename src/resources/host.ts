import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import { block, doc, flag, oneOf } from "./field-doc.ts";
import { type FieldTable, isRecord, readFields, SELECTION_FIELDS } from "./fields.ts";
import { domainOf, inAscii } from "./host-name.ts";
import { camelCase, HOST_TLS, type HostTls, parseHostTls } from "./host-tls.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";
import { impliedContext, type TlsContextResource } from "./tls-context.ts";

const Name = { name: Type.Optional(Type.String(doc({ is: "a name", does: "The object's name." }))) };

/** Fields of a Host (reference §2.6). */
export const HOST = Type.Object({
  hostname: Type.Optional(
    Type.String({
      ...doc({
        is: "a host name, `*.name` or `*`",
        does: "The name that is served.",
        byDefault: "`*`",
        example: "shop.example.com",
      }),
    }),
  ),
  tlsSecret: block(Name, {
    is: "a map of name",
    does: "The Secret of the same namespace with the certificate for the name; dots in it mean nothing.",
    example: { name: "shop-certificate" },
  }),
  tlsContext: block(Name, {
    is: "a map of name",
    does: "The TLSContext that the name is served with. Its certificate is the tlsSecret's, where both name one.",
    example: { name: "shop-context" },
  }),
  tls: Type.Optional(
    Type.Object(HOST_TLS.properties, {
      ...doc({
        is: "a map of a TLSContext's fields",
        does: "How the name is served over TLS: client certificates, versions and so on, in snake_case or camelCase.",
        note: "Either `tls` or `tlsContext`.",
        example: { ca_secret: "client-ca", cert_required: true },
      }),
    }),
  ),
  requestPolicy: block(
    {
      insecure: block(
        {
          action: oneOf(["Redirect", "Route", "Reject"], {
            does: "Cleartext requests for the name are redirected to https, routed, or answered with 400.",
            byDefault: "Redirect",
          }),
          additionalPort: Type.Optional(
            Type.Union(
              [Type.Literal(-1), Type.Integer({ minimum: 1, maximum: 65_535 })],
              doc({
                is: "a port number, or -1 for none",
                does: "The port where cleartext for the name is answered; 8080 is the http listener, whatever its port.",
                byDefault: "8080",
              }),
            ),
          ),
        },
        {
          is: "a map of action and additionalPort",
          does: "What becomes of cleartext requests for the name.",
        },
      ),
    },
    {
      is: "a map of insecure, a map of action and additionalPort",
      does: "What becomes of cleartext requests for the name.",
      example: { insecure: { action: "Route" } },
    },
  ),
  selector: Type.Optional(
    Type.Unknown(
      doc({ is: "a label selector", does: "Nothing, as in 1.14: every Mapping belongs to every Host." }),
    ),
  ),
  mappingSelector: Type.Optional(
    Type.Unknown(
      doc({ is: "a label selector", does: "Nothing, as in 1.14: every Mapping belongs to every Host." }),
    ),
  ),
  acmeProvider: Type.Optional(
    Type.Object(
      {
        authority: Type.Optional(
          Type.String(doc({ is: "a URL, or none", does: "`none` says that no certificate is asked for." })),
        ),
      },
      doc({
        is: "a map of authority, email, privateKeySecret and registration",
        does: "Nothing: certificates come from Secrets. A Host without a Secret that relies on it is refused.",
        example: { authority: "none" },
      }),
    ),
  ),
  previewUrl: Type.Optional(
    Type.Object(
      { enabled: flag({ does: "Whether previews are wanted.", byDefault: "false" }) },
      doc({ is: "a map of enabled and type", does: "Nothing: previews are not served." }),
    ),
  ),
});

export type HostSpec = Omit<Static<typeof HOST>, "tls">;

export interface HostResource extends Resource<"Host", HostSpec> {
  /** The Host itself, or the Ingress that implies it. */
  readonly subject: Subject;
  /** Name, `*.name` or `*`; null where it cannot be read. */
  readonly domain: string | null;
  /** The inline `tls`, null where there is none. */
  readonly tls: HostTls | null;
  /** The diagnostic that closes it, null where all of it is understood. */
  readonly closedBy: string | null;
}

/** Reads a Host. A bad field closes the name rather than leaving it to others: it is refused (design §4.1). */
export function parseHost(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: HostResource; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "Host", ...identity });
  const { tls: written, ...given } = isRecord(value) ? value : {};
  const read = readFields(given, TABLE, subject, raw);
  const inline = written === undefined || written === null ? null : parseHostTls(written, subject, raw);
  const { tls: _, ...spec } = read.spec as Static<typeof HOST>;
  const found = [...read.diagnostics, ...(inline?.diagnostics ?? [])];
  const hostname = spec.hostname === undefined || spec.hostname === "" ? "*" : spec.hostname;
  // Misspelt, it is some name that nobody knows, not any.
  const isUnread = read.bad.has("hostname") || read.misspelt.has("hostname");
  const domain = isUnread ? null : domainOf(hostname);
  if (domain === null && !isUnread) {
    const message = `${JSON.stringify(hostname.slice(0, 80))} is neither a host name, nor \`*.name\`, nor \`*\`${inAscii(hostname)}`;
    found.push(diagnose("field-invalid", { subject, source: positionOf({ raw }, "hostname"), message }));
  }
  const diagnostics = found.map((finding) =>
    finding.code === "field-invalid" || finding.effect === "route-fails-closed"
      ? { ...finding, effect: "host-refused" as const }
      : finding,
  );
  diagnostics.push(...notServed(spec, subject, (field) => positionOf({ raw }, field)));
  const isMisspelt = read.misspelt.size > 0 || inline?.closedBy === "field-unknown";
  const isUnnamed = domain === null && !read.misspelt.has("hostname");
  const isBad = read.bad.size > 0 || isUnnamed || inline?.closedBy === "field-invalid";
  const closedBy = isBad ? "field-invalid" : isMisspelt ? "field-unknown" : null;
  const resource = {
    kind: "Host" as const,
    ...identity,
    spec,
    raw,
    subject,
    domain,
    tls: inline?.tls ?? null,
    closedBy,
  };
  return { resource, diagnostics };
}

/** The Host asks for certificates to be obtained, which nobody here does; without `authority: none` 1.14 asks Let's Encrypt. */
export function reliesOnAcme({ acmeProvider }: HostSpec): boolean {
  return acmeProvider !== undefined && acmeProvider.authority?.toLowerCase() !== "none";
}

/** What a Host asks for and does not get; none of it makes the name less safe. */
function notServed(spec: HostSpec, subject: Subject, place: (field: string) => SourcePosition): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const field of ["selector", "mappingSelector"] as const) {
    if (spec[field] === undefined) continue;
    const message = `${field} selects nothing, as in 1.14: every Mapping belongs to every Host`;
    found.push(diagnose("host-selector-ignored", { subject, source: place(field), message }));
  }
  if (reliesOnAcme(spec)) {
    const message =
      "certificates are not obtained by ACME; what tlsSecret names is used, and nothing renews it";
    const remedy = "Write `authority: none`, and have tlsSecret filled by whoever renews certificates.";
    found.push(diagnose("field-not-supported", { subject, source: place("acmeProvider"), message, remedy }));
  }
  if (spec.previewUrl?.enabled === true) {
    const message = "previewUrl is a field of 1.14 that is not acted on";
    found.push(diagnose("field-not-supported", { subject, source: place("previewUrl"), message }));
  }
  return found;
}

/** The context that a Host implies, `<host>-context`; null where it has neither a Secret nor `tls`. */
export function hostContext(host: HostResource): TlsContextResource | null {
  const { subject, spec, tls, raw, domain } = host;
  const secret = spec.tlsSecret?.name;
  if (tls === null && (secret === undefined || secret === "")) return null;
  const fields = new Map(
    Object.keys(tls ?? {}).map((field) => [
      `spec.${field}`,
      raw.fields.get(`spec.tls.${field}`) ??
        raw.fields.get(`spec.tls.${camelCase(field)}`) ??
        positionOf(host, "tls"),
    ]),
  );
  fields.set("spec.secret", raw.fields.get("spec.tlsSecret.name") ?? positionOf(host, "tlsSecret"));
  const contextSpec = {
    ...tls,
    ...(secret === undefined || secret === "" ? {} : { secret }),
    ...(domain === null ? {} : { hosts: [domain] }),
  };
  const context = impliedContext(
    { ...subject, namespace: host.namespace },
    `${host.name}-context`,
    contextSpec,
    { ...raw, fields },
    host.closedBy,
  );
  return subject.kind === "Host" ? { ...context, isWholeName: true } : context;
}

const TABLE: FieldTable = {
  properties: { ...HOST.properties, ...SELECTION_FIELDS },
  required: [],
  ignored: [],
  guarding: ["hostname", "tlsSecret", "tlsContext", "tls", "requestPolicy"],
};
