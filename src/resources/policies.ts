import { Type } from "typebox";
import { block, count, doc, type FieldDoc, flag, oneOf, TOKEN, text } from "./field-doc.ts";

// Blocks that a Mapping has, and the Module as its default.

const words = (about: Omit<FieldDoc, "is">) =>
  Type.Optional(
    Type.Union(
      [Type.String({ pattern: "^[\\t\\n\\r -~]*$" }), Type.Array(Type.String({ pattern: "^[ -~]*$" }))],
      doc({ is: "a list of texts, or one text with commas", ...about }),
    ),
  );

export const CORS = block(
  {
    origins: words({ does: "Who may ask, compared as they are; `*` is anybody.", byDefault: "nobody" }),
    methods: words({ does: "Access-Control-Allow-Methods of a preflight's answer." }),
    headers: words({ does: "Access-Control-Allow-Headers of a preflight's answer." }),
    exposed_headers: words({ does: "Access-Control-Expose-Headers of responses." }),
    credentials: flag({ does: "Lets browsers send cookies and credentials.", byDefault: "false" }),
    max_age: Type.Optional(
      Type.Union(
        [Type.String({ pattern: "^\\d{1,9}$" }), Type.Integer({ minimum: 0 })],
        doc({ is: "a number of seconds", does: "How long a browser may keep a preflight's answer." }),
      ),
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
      doc({
        is: "5xx, gateway-error, connect-failure, retriable-4xx, refused-stream or retriable-status-codes",
        does: "What counts as a failure.",
      }),
    ),
    num_retries: count({ does: "How often a request is sent again.", byDefault: "1" }, 0, 100),
    per_try_timeout: Type.Optional(
      Type.String({
        pattern:
          "^(?:\\d{1,12}(?:\\.\\d+)?ms|\\d{1,9}(?:\\.\\d+)?s|\\d{1,7}(?:\\.\\d+)?m|\\d{1,5}(?:\\.\\d+)?h)$",
        ...doc({
          is: "a duration such as 0.5s",
          does: "How long each try may take.",
          byDefault: "the Mapping's timeout",
        }),
      }),
    ),
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
        priority: oneOf(["default", "high"], {
          does: "The requests that are counted: those of Mappings with this `priority`.",
          byDefault: "default",
        }),
        max_connections: count({ does: "Connections to the upstream.", byDefault: "1024" }),
        max_pending_requests: count({ does: "Requests that wait for a connection.", byDefault: "1024" }),
        max_requests: count({ does: "Requests under way.", byDefault: "1024" }),
        max_retries: count({ does: "Requests that are being sent again.", byDefault: "3" }),
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
      doc({
        is: "round_robin, least_request, ring_hash or maglev",
        does: "In turn, the less busy of two, or by a hash: equal ones go to the same address.",
      }),
    ),
    cookie: Type.Optional(
      Type.Object(
        {
          name: Type.String({ pattern: TOKEN, ...doc({ is: "a cookie's name", does: "The cookie." }) }),
          path: Type.Optional(
            Type.String({
              pattern: "^[ -:<-~]*$",
              ...doc({ is: "a path", does: "Path of a cookie that the gateway sets." }),
            }),
          ),
          ttl: Type.Optional(
            Type.Union(
              [
                Type.String({
                  pattern:
                    "^(?:\\d{1,12}(?:\\.\\d+)?ms|\\d{1,9}(?:\\.\\d+)?s?|\\d{1,7}(?:\\.\\d+)?m|\\d{1,5}(?:\\.\\d+)?h)$",
                }),
                Type.Integer({ minimum: 0, maximum: 999_999_999 }),
              ],
              doc({
                is: "a duration such as 60s, or a number of seconds",
                does: "The gateway sets the cookie where it is missing, for so long; 0: for the session.",
                byDefault: "the cookie is not set",
              }),
            ),
          ),
        },
        {
          additionalProperties: false,
          ...doc({ is: "a map of name, path and ttl", does: "Goes by a cookie." }),
        },
      ),
    ),
    header: Type.Optional(
      Type.String({ pattern: TOKEN, ...doc({ is: "a header name", does: "Goes by a header's value." }) }),
    ),
    source_ip: flag({ does: "Goes by the client's address.", byDefault: "false" }),
  },
  {
    is: "a map of policy and, for ring_hash and maglev, one of cookie, header and source_ip",
    does: "Chooses among the addresses of the service.",
    byDefault: "round_robin",
    example: { policy: "ring_hash", cookie: { name: "sticky", ttl: "60s" } },
  },
);

/** No more than Linux takes: a socket that is asked for more is not connected. */
export const KEEPALIVE = block(
  {
    idle_time: count(
      { does: "Seconds of silence before the first probe.", byDefault: "the kernel's" },
      1,
      32_767,
    ),
    time: count({ does: "The same.", byDefault: "idle_time", note: "Write idle_time." }, 1, 32_767),
    interval: count({ does: "Seconds between two probes.", byDefault: "the kernel's" }, 1, 32_767),
    probes: count(
      { does: "How many go unanswered before the connection is closed.", byDefault: "the kernel's" },
      1,
      127,
    ),
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
        on_status_code: Type.Integer({
          minimum: 400,
          maximum: 599,
          ...doc({ is: "a number from 400 to 599", does: "The status whose body is replaced." }),
        }),
        body: Type.Object(
          {
            content_type: Type.Optional(
              Type.String({
                pattern: "^[ -~]+$",
                ...doc({
                  is: "a media type",
                  does: "Content-Type of the response.",
                  byDefault: "text/plain, or application/json with json_format",
                }),
              }),
            ),
            text_format: Type.Optional(
              Type.String(doc({ is: "a text", does: "The body; Envoy's `%OPERATORS%` are filled in." })),
            ),
            json_format: Type.Optional(
              Type.Record(
                Type.String(),
                Type.Union([Type.String(), Type.Number(), Type.Boolean()]),
                doc({ is: "a map of names to values", does: "The body, as a JSON object." }),
              ),
            ),
            text_format_source: Type.Optional(
              Type.Object(
                { filename: text({ is: "a path", does: "The file." }) },
                {
                  additionalProperties: false,
                  ...doc({ is: "a map of filename", does: "The body, from a file." }),
                },
              ),
            ),
          },
          {
            additionalProperties: false,
            ...doc({
              is: "a map of content_type and one of text_format, json_format and text_format_source",
              does: "What is answered instead.",
            }),
          },
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
