import { type Static, Type } from "typebox";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { block, count, doc, flag, headersOf, milliseconds, oneOf, TOKEN } from "./field-doc.ts";
import { type FieldTable, readFields, SELECTION_FIELDS } from "./fields.ts";
import { type RawObject, type Resource, subjectOf } from "./resource.ts";

const HeaderNames = (about: Parameters<typeof doc>[0]) =>
  Type.Optional(Type.Array(Type.String({ pattern: TOKEN }), doc(about)));
/** Goes into a head as it stands: no control characters (RFC 9110 §5.5). */
const HeaderValue = Type.Union([
  Type.String({ pattern: "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$" }),
  Type.Boolean(),
]);

/** Fields of an AuthService (reference §1). */
const AUTH_SERVICE_FIELDS = {
  auth_service: Type.String({
    minLength: 1,
    ...doc({
      is: "[scheme://]host[:port]",
      does: "The service that is asked about each request; short names are looked up in the AuthService's own namespace.",
      example: "https://auth.default:3000",
    }),
  }),
  path_prefix: Type.Optional(
    Type.String({
      pattern: "^(?:/[!-~]*)?$",
      ...doc({
        is: "a path in visible ASCII that begins with /",
        does: "Stands before the request's path when the service is asked.",
        example: "/extauth",
      }),
    }),
  ),
  tls: Type.Optional(
    Type.Union(
      [Type.Boolean(), Type.String({ minLength: 1 })],
      doc({
        is: "true, or the name of a TLSContext",
        does: "Speaks TLS to the service: with the named context's certificate, CA and settings, or with none of them.",
      }),
    ),
  ),
  proto: oneOf(["http", "grpc"], {
    does: "How the service is asked; grpc (Envoy's interface v3) is spoken by the envoy engine, and with the node engine closes what the AuthService covers.",
    byDefault: "http",
  }),
  timeout_ms: milliseconds({ does: "How long the answer may take.", byDefault: "5000" }, 1),
  allowed_request_headers: HeaderNames({
    is: "a list of header names",
    does: "Headers of the request that the service is shown, beside Authorization, Cookie, From, Proxy-Authorization, User-Agent and X-Forwarded-*.",
    example: ["x-tenant"],
  }),
  allowed_authorization_headers: HeaderNames({
    is: "a list of header names",
    does: "Headers of the service's answer that go upstream with an allowed request and to the client with a refused one, beside Authorization, Location, Proxy-Authenticate, Set-Cookie and WWW-Authenticate. A client's own copies of those listed here are removed.",
    example: ["x-user-id"],
  }),
  add_auth_headers: headersOf(HeaderValue, {
    is: "a map of header names to values",
    does: "Headers for the service alone; they replace the client's.",
    example: { "x-asked-by": "edge" },
  }),
  include_body: block(
    {
      max_bytes: count({ does: "The most that is shown.", byDefault: "4096" }, 1, 67_108_864),
      allow_partial: flag({ does: "Cuts a larger body; false: answers it with 413.", byDefault: "true" }),
    },
    {
      is: "a map of max_bytes and allow_partial",
      does: "Shows the service the request's body, up to max_bytes; a larger one is cut, or with `allow_partial: false` answered with 413.",
      byDefault: "no body; max_bytes 4096, allow_partial true",
      example: { max_bytes: 4096, allow_partial: true },
    },
  ),
  allow_request_body: flag({
    does: "The same as an include_body of 4096 bytes.",
    byDefault: "false",
    note: "Write include_body.",
  }),
  add_linkerd_headers: flag({
    does: "Sets l5d-dst-override to the service's address, which Linkerd routes by.",
    byDefault: "the Module's",
  }),
  failure_mode_allow: flag({
    does: "Lets requests pass while the service cannot be asked.",
    byDefault: "false",
  }),
  status_on_error: block(
    { code: count({ does: "The status.", byDefault: "403" }, 400, 599) },
    {
      is: "a map of code, a status from 400 to 599",
      does: "What a client gets while the service cannot be asked.",
      byDefault: "403",
      example: { code: 503 },
    },
  ),
  protocol_version: oneOf(["v2", "v3"], {
    does: "The version of Envoy's gRPC interface; v2, where it is written, closes what the AuthService covers: v3 is spoken. A service that speaks HTTP has none.",
    byDefault: "v2",
  }),
  weight: count(
    { does: "This service's share where several AuthServices are otherwise equal.", byDefault: "100" },
    0,
    100,
  ),
};

export const AUTH_SERVICE = Type.Object(AUTH_SERVICE_FIELDS);

export type AuthServiceSpec = Static<typeof AUTH_SERVICE>;

export interface AuthServiceResource extends Resource<"AuthService", AuthServiceSpec> {
  /** The kind it was written as: Module `authentication` is the older way. */
  readonly writtenAs: "AuthService" | "Module";
  /** The diagnostic that keeps it from being asked, null where all of it is understood. */
  readonly closedBy: string | null;
}

/** Reads an AuthService. What cannot be read closes what it covers: nobody is let in because of a slip of the pen. */
export function parseAuthService(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
  writtenAs: AuthServiceResource["writtenAs"] = "AuthService",
): { resource: AuthServiceResource; diagnostics: Diagnostic[] } {
  const read = readFields(value, TABLE, subjectOf({ kind: writtenAs, ...identity }), raw);
  const diagnostics = read.diagnostics.map((finding) =>
    finding.code === "field-invalid" || finding.code === "field-missing"
      ? { ...finding, effect: "route-fails-closed" as const }
      : finding,
  );
  const bad = [...read.bad];
  const closedBy =
    bad.length > 0
      ? bad.every((field) => field === "auth_service") && !raw.fields.has("spec.auth_service")
        ? "field-missing"
        : "field-invalid"
      : read.misspelt.size > 0
        ? "field-unknown"
        : null;
  const spec = { auth_service: "", ...read.spec } as AuthServiceSpec;
  return { resource: { kind: "AuthService", ...identity, spec, raw, writtenAs, closedBy }, diagnostics };
}

/** Module `authentication` has the same fields, in `config`. */
export function parseAuthenticationModule(
  identity: { namespace: string; name: string },
  config: unknown,
  raw: RawObject,
): ReturnType<typeof parseAuthService> {
  const fields = new Map(raw.fields);
  for (const [path, position] of raw.fields) {
    if (path.startsWith("spec.config.")) fields.set(`spec.${path.slice("spec.config.".length)}`, position);
  }
  return parseAuthService(identity, config, { ...raw, fields }, "Module");
}

const TABLE: FieldTable = {
  properties: { ...AUTH_SERVICE_FIELDS, ...SELECTION_FIELDS },
  required: ["auth_service"],
  ignored: [],
  // Left out by a slip of the pen, each of these would ask another question, or ask it unprotected.
  guarding: Object.keys(AUTH_SERVICE_FIELDS).filter(
    (name) => !["weight", "protocol_version", "timeout_ms", "failure_mode_allow"].includes(name),
  ),
};
