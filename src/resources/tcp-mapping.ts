import { isIP } from "node:net";
import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { count, doc, LONGEST_MS } from "./field-doc.ts";
import { type FieldTable, readFields, SELECTION_FIELDS } from "./fields.ts";
import { ACTION_FIELDS } from "./mapping-action.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";

const { circuit_breakers, cluster_tag, enable_ipv4, enable_ipv6, resolver } = ACTION_FIELDS;

/** The fields of a TCPMapping (reference §2.8). */
const TCP_MAPPING_FIELDS = {
  port: Type.Integer({
    minimum: 1,
    maximum: 65_535,
    ...doc({
      is: "a port number from 1 to 65535",
      does: "Takes the connections to this port, which belongs to TCPMappings alone.",
      example: 5432,
    }),
  }),
  address: Type.Optional(
    Type.String({
      ...doc({
        is: "an IP address",
        does: "Takes only connections to this address of the gateway's.",
        byDefault: "that of the http listener, 0.0.0.0 if no flag says otherwise",
        example: "127.0.0.1",
      }),
    }),
  ),
  host: Type.Optional(
    Type.String({
      pattern: "^(?:\\*|(?:\\*\\.)?[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]+)*\\.?)$",
      ...doc({
        is: "a host name, `*.name` or `*`",
        does:
          "Takes TLS connections for this server name (SNI). They are terminated where a TLSContext has the very same " +
          "name among its hosts, with its certificate and its check of clients, and passed on unopened otherwise.",
        byDefault: "whatever no other TCPMapping of the port takes, passed on as it is",
        example: "db.example.com",
      }),
    }),
  ),
  service: Type.String({
    minLength: 1,
    ...doc({
      is: "host[:port]",
      does: "Where bytes go; a short name is looked up in the TCPMapping's own namespace, and a scheme means nothing.",
      byDefault: "for the port: 443 with `tls`, else 80",
      example: "postgres.default:5432",
    }),
  }),
  tls: Type.Optional(
    Type.Union(
      [Type.Boolean(), Type.String({ minLength: 1 })],
      doc({
        is: "true or false, or the name of a TLSContext",
        does: "Speaks TLS to the service: with the named context's certificate, CA and settings, or with none of them.",
        byDefault: "false",
        example: "upstream-context",
        note: "Not for TLS that is passed on unopened.",
      }),
    ),
  ),
  idle_timeout_ms: Type.Optional(
    Type.Union(
      [Type.String({ pattern: "^\\d{1,9}$" }), Type.Integer({ minimum: 0, maximum: LONGEST_MS })],
      doc({
        is: "a number of milliseconds",
        does: "Ends a connection on which neither side has sent a byte for so long; 0: never.",
        byDefault: "3600000",
        example: "600000",
      }),
    ),
  ),
  weight: count(
    {
      does: "Per cent of the connections that this TCPMapping takes among those with the same port, address and host.",
      byDefault: "an equal share of what the others leave",
      example: 20,
    },
    0,
    100,
  ),
  circuit_breakers,
  cluster_tag,
  enable_ipv4,
  enable_ipv6,
  resolver,
};

export const TCP_MAPPING = Type.Object(TCP_MAPPING_FIELDS);

export type TcpMappingSpec = Static<typeof TCP_MAPPING>;

export interface TcpMappingResource extends Resource<"TCPMapping", TcpMappingSpec> {
  /** The diagnostic that closes it, null where all of it is understood. */
  readonly closedBy: string | null;
}

/** Reads a TCPMapping. Null where nobody knows which connections it takes; a bad rest keeps its place and closes it. */
export function parseTcpMapping(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: TcpMappingResource | null; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "TCPMapping", ...identity });
  const read = readFields(value, TABLE, subject, raw);
  const { address } = read.spec;
  const isNoAddress = typeof address === "string" && isIP(address) === 0;
  const isUnplaced = isNoAddress || PLACE.some((field) => read.bad.has(field) || read.misspelt.has(field));
  const effect = isUnplaced ? ("object-ignored" as const) : ("connections-refused" as const);
  const diagnostics = read.diagnostics.map((found) =>
    found.severity === "error" ? { ...found, effect } : found,
  );
  if (isNoAddress) {
    const message = `address must be an IP address, not ${JSON.stringify(address.slice(0, 60))}`;
    diagnostics.push(
      diagnose("field-invalid", { subject, source: positionOf({ raw }, "address"), message, effect }),
    );
  }
  if (isUnplaced) return { resource: null, diagnostics };
  let closedBy: string | null = null;
  if (read.misspelt.size > 0) closedBy = "field-unknown";
  if (read.bad.size > 0) closedBy = "service" in read.spec ? "field-invalid" : "field-missing";
  const spec = { service: "", ...read.spec } as TcpMappingSpec;
  return { resource: { kind: "TCPMapping", ...identity, spec, raw, closedBy }, diagnostics };
}

/** Without these nobody knows where the TCPMapping stands; without `host` it would take everything. */
const PLACE = ["port", "address", "host"];

const TABLE: FieldTable = {
  properties: { ...TCP_MAPPING_FIELDS, ...SELECTION_FIELDS },
  required: ["port", "service"],
  ignored: [],
  guarding: [...PLACE, "tls", "resolver"],
};
