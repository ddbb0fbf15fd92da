import { Type } from "typebox";
import { block, doc } from "./field-doc.ts";

// Blocks that a Mapping has, and the Module as its default.

/** A header name or a method (RFC 9110 §5.6.2). */
export const TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
const Words = Type.Union([Type.String(), Type.Array(Type.String())]);

export const CORS = block(
  {
    origins: Type.Optional(Words),
    methods: Type.Optional(Words),
    headers: Type.Optional(Words),
    exposed_headers: Type.Optional(Words),
    credentials: Type.Optional(Type.Boolean()),
    max_age: Type.Optional(
      Type.Union([Type.String({ pattern: "^\\d{1,9}$" }), Type.Integer({ minimum: 0 })]),
    ),
  },
  {
    is: "a map of origins, methods, headers, exposed_headers, credentials and max_age",
    does: "Answers CORS preflight requests, and adds the response headers that browsers ask for (Fetch standard).",
    example: {
      origins: ["https://foo.example"],
      methods: ["GET", "POST"],
      credentials: true,
      max_age: "86400",
    },
  },
);

export const RETRY_POLICY = block(
  {
    retry_on: Type.Union(
      (
        [
          "5xx",
          "gateway-error",
          "connect-failure",
          "retriable-4xx",
          "refused-stream",
          "retriable-status-codes",
        ] as const
      ).map((word) => Type.Literal(word)),
    ),
    num_retries: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
    per_try_timeout: Type.Optional(Type.String({ pattern: "^\\d+(?:\\.\\d+)?(?:ms|s|m|h)$" })),
  },
  {
    is: "a map of retry_on, num_retries and per_try_timeout",
    does: "Sends a request again when it failed so, as long as it can be sent again.",
    example: { retry_on: "5xx", num_retries: 2, per_try_timeout: "0.5s" },
  },
);

export const CIRCUIT_BREAKERS = Type.Optional(
  Type.Array(
    Type.Object(
      {
        priority: Type.Optional(Type.Union([Type.Literal("default"), Type.Literal("high")])),
        max_connections: Type.Optional(Type.Integer({ minimum: 0 })),
        max_pending_requests: Type.Optional(Type.Integer({ minimum: 0 })),
        max_requests: Type.Optional(Type.Integer({ minimum: 0 })),
        max_retries: Type.Optional(Type.Integer({ minimum: 0 })),
      },
      { additionalProperties: false },
    ),
    doc({
      is: "a list of maps with priority, max_connections, max_pending_requests, max_requests and max_retries",
      does: "Answers 503 at once when more than so much of the upstream is in use.",
      byDefault: "1024 connections, pending requests and requests, 3 retries",
      example: [{ max_connections: 2048, max_requests: 2048 }],
    }),
  ),
);

export const LOAD_BALANCER = block(
  {
    policy: Type.Union(
      (["round_robin", "least_request", "ring_hash", "maglev"] as const).map((word) => Type.Literal(word)),
    ),
    cookie: Type.Optional(
      Type.Object(
        {
          name: Type.String({ pattern: TOKEN }),
          path: Type.Optional(Type.String({ pattern: "^[ -:<-~]*$" })),
          ttl: Type.Optional(
            Type.Union([
              Type.String({ pattern: "^\\d+(?:\\.\\d+)?(?:ms|s|m|h)?$" }),
              Type.Integer({ minimum: 0 }),
            ]),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    header: Type.Optional(Type.String({ pattern: TOKEN })),
    source_ip: Type.Optional(Type.Boolean()),
  },
  {
    is: "a map of policy and, for ring_hash and maglev, one of cookie, header and source_ip",
    does: "Chooses among the addresses of the service.",
    byDefault: "round_robin",
    example: { policy: "ring_hash", cookie: { name: "sticky", ttl: "60s" } },
  },
);

export const KEEPALIVE = block(
  {
    idle_time: Type.Optional(Type.Integer({ minimum: 1 })),
    time: Type.Optional(Type.Integer({ minimum: 1 })),
    interval: Type.Optional(Type.Integer({ minimum: 1 })),
    probes: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  {
    is: "a map of idle_time (or time), interval and probes",
    does: "TCP keepalive on upstream connections: seconds of silence before the first probe, between probes, and how many. The last two need Node 26.4.",
    example: { idle_time: 100, interval: 10, probes: 9 },
  },
);

export const ERROR_RESPONSE_OVERRIDES = Type.Optional(
  Type.Array(
    Type.Object(
      {
        on_status_code: Type.Integer({ minimum: 400, maximum: 599 }),
        body: Type.Object(
          {
            content_type: Type.Optional(Type.String({ pattern: "^[ -~]+$" })),
            text_format: Type.Optional(Type.String()),
            json_format: Type.Optional(
              Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
            ),
            text_format_source: Type.Optional(
              Type.Object({ filename: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
            ),
          },
          { additionalProperties: false },
        ),
      },
      { additionalProperties: false },
    ),
    doc({
      is: "a list of maps with on_status_code and body",
      does: "Replaces the body of responses with these status codes.",
      example: [{ on_status_code: 404, body: { text_format: "no such page" } }],
    }),
  ),
);
