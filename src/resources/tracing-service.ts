import { Type } from "typebox";
import { block, count, doc, flag, text, TOKEN } from "./field-doc.ts";

const percent = (does: string) => count({ does, byDefault: "100" }, 0, 100);

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
    {
      client: percent("Per cent of the requests that their client wants traced."),
      random: percent("Per cent of all requests."),
      overall: percent("Per cent of those that the other two chose."),
    },
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
      access_token_file: text({ is: "a path", does: "lightstep: the file with the access token." }),
      collector_cluster: text({ is: "a name", does: "lightstep, zipkin: the collector's cluster." }),
      collector_endpoint: text({
        is: "a path",
        does: "zipkin: where spans are posted to.",
        byDefault: "/api/v2/spans",
      }),
      collector_endpoint_version: Type.Optional(
        Type.Union(
          [Type.Literal("HTTP_JSON"), Type.Literal("HTTP_JSON_V1"), Type.Literal("HTTP_PROTO")],
          doc({
            is: "HTTP_JSON, HTTP_JSON_V1 or HTTP_PROTO",
            does: "zipkin: the form of spans.",
            byDefault: "HTTP_JSON",
          }),
        ),
      ),
      collector_hostname: text({ is: "a host name", does: "zipkin: Host of the requests to the collector." }),
      trace_id_128bit: flag({ does: "zipkin: makes trace ids of 128 bits.", byDefault: "true" }),
      shared_span_context: flag({ does: "zipkin: client and server share a span.", byDefault: "true" }),
      service_name: text({ is: "a name", does: "datadog: the service's name.", byDefault: "ambassador" }),
    },
    { is: "a map of the driver's settings", does: "Settings of the driver." },
  ),
};

export const TRACING_SERVICE = Type.Object(TRACING_SERVICE_FIELDS);
