import { type Static, Type } from "typebox";
import { block, doc } from "./field-doc.ts";
import { TOKEN } from "./policies.ts";

const Percent = Type.Optional(Type.Integer({ minimum: 0, maximum: 100 }));

/** Fields of a TracingService (reference §1). */
export const TRACING_SERVICE_FIELDS = {
  service: Type.String({
    minLength: 1,
    ...doc({
      is: "[scheme://]host[:port]",
      does: "The collector that spans are sent to.",
      example: "zipkin.default:9411",
    }),
  }),
  driver: Type.Union(
    [Type.Literal("zipkin"), Type.Literal("lightstep"), Type.Literal("datadog")],
    doc({ is: "zipkin, lightstep or datadog", does: "The collector's protocol.", example: "zipkin" }),
  ),
  sampling: block(
    { client: Percent, random: Percent, overall: Percent },
    {
      is: "a map of client, random and overall, in percent",
      does: "Which share of the requests is traced.",
      byDefault: "100 of each",
      example: { overall: 10 },
    },
  ),
  tag_headers: Type.Optional(
    Type.Array(
      Type.String({ pattern: TOKEN }),
      doc({
        is: "a list of header names",
        does: "Headers that become tags of the span.",
        example: ["x-tenant"],
      }),
    ),
  ),
  config: block(
    {
      access_token_file: Type.Optional(Type.String()),
      collector_cluster: Type.Optional(Type.String()),
      collector_endpoint: Type.Optional(Type.String()),
      collector_endpoint_version: Type.Optional(
        Type.Union([Type.Literal("HTTP_JSON"), Type.Literal("HTTP_JSON_V1"), Type.Literal("HTTP_PROTO")]),
      ),
      collector_hostname: Type.Optional(Type.String()),
      trace_id_128bit: Type.Optional(Type.Boolean()),
      shared_span_context: Type.Optional(Type.Boolean()),
      service_name: Type.Optional(Type.String()),
    },
    { is: "a map of the driver's settings", does: "Settings of the driver." },
  ),
};

export const TRACING_SERVICE = Type.Object(TRACING_SERVICE_FIELDS);

export type TracingServiceSpec = Static<typeof TRACING_SERVICE>;
