import { Type } from "typebox";
import { block, count, doc, flag, TOKEN } from "./field-doc.ts";

/** Fields of a LogService (reference §1). */
export const LOG_SERVICE_FIELDS = {
  service: Type.String({
    minLength: 1,
    ...doc({
      is: "[scheme://]host[:port]",
      does: "The service that access logs are streamed to (Envoy's gRPC interface).",
      example: "logs.default:9000",
    }),
  }),
  driver: Type.Union(
    [Type.Literal("tcp"), Type.Literal("http")],
    doc({ is: "tcp or http", does: "Logs connections, or requests.", example: "http" }),
  ),
  driver_config: block(
    {
      additional_log_headers: Type.Optional(
        Type.Array(
          Type.Object(
            {
              header_name: Type.String({
                pattern: TOKEN,
                ...doc({ is: "a header name", does: "The header." }),
              }),
              during_request: flag({ does: "Logs the request's.", byDefault: "true" }),
              during_response: flag({ does: "Logs the response's.", byDefault: "true" }),
              during_trailer: flag({ does: "Logs the response's trailer.", byDefault: "true" }),
            },
            { additionalProperties: false },
          ),
          doc({ is: "a list of headers", does: "The headers." }),
        ),
      ),
    },
    {
      is: "a map of additional_log_headers",
      does: "Headers that are logged beside the usual ones.",
      example: { additional_log_headers: [{ header_name: "x-tenant", during_response: false }] },
    },
  ),
  flush_interval_time: count({ does: "Seconds after which collected lines are sent.", byDefault: "1" }, 1),
  flush_interval_byte_size: count(
    { does: "Bytes after which collected lines are sent.", byDefault: "16384" },
    1,
  ),
  grpc: flag({ does: "Speaks HTTP/2 to the service, as gRPC needs.", byDefault: "false" }),
};

export const LOG_SERVICE = Type.Object(LOG_SERVICE_FIELDS);
