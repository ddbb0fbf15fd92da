import { Type } from "typebox";
import { block, count, doc, flag, headersOf, mapOf, milliseconds, oneOf, TOKEN, text } from "./field-doc.ts";
import {
  CIRCUIT_BREAKERS,
  CORS,
  ERROR_RESPONSE_OVERRIDES,
  KEEPALIVE,
  LOAD_BALANCER,
  RETRY_POLICY,
} from "./policies.ts";

/** Goes into a head as it stands: no control characters (RFC 9110 §5.5), and no more than Envoy adds. */
const Value = Type.Union([
  Type.String({ pattern: "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$", maxLength: 16_384 }),
  Type.Boolean(),
]);
const HeaderAddition = Type.Union([
  Value,
  Type.Object({ value: Value, append: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
]);
const Names = Type.Union([Type.String({ pattern: TOKEN }), Type.Array(Type.String({ pattern: TOKEN }))]);
/** A path in a request line: visible ASCII only (RFC 9112 §3.2). */
const Path = { pattern: "^[!-~]*$" };
const Substitution = {
  pattern: Type.String({
    minLength: 1,
    ...doc({ is: "a regular expression (RE2)", does: "What is replaced, wherever it stands in the path." }),
  }),
  substitution: Type.String({
    ...Path,
    ...doc({ is: "a text", does: "What comes instead; \\1 is the pattern's first group, \\0 all of it." }),
  }),
};

/** Fields of a Mapping that say what becomes of its requests (reference §2.5.2). */
export const ACTION_FIELDS = {
  service: Type.String({
    minLength: 1,
    ...doc({
      is: "[scheme://]host[:port]",
      does: "Where requests go: https:// means TLS, and a short name is looked up in the Mapping's own namespace.",
      example: "https://quote.default:8443",
    }),
  }),
  tls: Type.Optional(
    Type.Union(
      [Type.Boolean(), Type.String({ minLength: 1 })],
      doc({
        is: "true, or the name of a TLSContext",
        does: "Speaks TLS to the service: with the named context's certificate, CA and settings, or with none of them.",
        example: "upstream-context",
      }),
    ),
  ),
  rewrite: Type.Optional(
    Type.String({
      ...Path,
      ...doc({
        is: "a path in visible ASCII, or an empty string for none",
        does: "Replaces the matched prefix; an empty string leaves the path as it is.",
        byDefault: "/",
      }),
    }),
  ),
  regex_rewrite: block(Substitution, {
    is: "a map of pattern and substitution",
    does: "Replaces every match of the pattern (RE2) in the path; \\1 stands for the first group. Wins over `rewrite`.",
    example: { pattern: "/v([0-9]+)/", substitution: "/version\\1/" },
  }),
  host_rewrite: Type.Optional(
    Type.String({
      pattern: "^[!-.0-~]+$",
      ...doc({ is: "a host name", does: "Replaces the Host header.", example: "internal.example" }),
    }),
  ),
  auto_host_rewrite: flag({ does: "Replaces the Host header by the service's name.", byDefault: "false" }),
  host_redirect: flag({
    does: "Answers with a redirect to `service` as host instead of forwarding.",
    byDefault: "false",
  }),
  path_redirect: Type.Optional(
    Type.String({
      ...Path,
      minLength: 1,
      ...doc({ is: "a path", does: "With host_redirect: the path to redirect to." }),
    }),
  ),
  prefix_redirect: Type.Optional(
    Type.String({
      ...Path,
      minLength: 1,
      ...doc({ is: "a path", does: "With host_redirect: replaces the matched prefix." }),
    }),
  ),
  regex_redirect: block(Substitution, {
    is: "a map of pattern and substitution",
    does: "With host_redirect: replaces every match of the pattern (RE2) in the path.",
  }),
  redirect_response_code: Type.Optional(
    Type.Union(
      ([301, 302, 303, 307, 308] as const).map((status) => Type.Literal(status)),
      doc({
        is: "301, 302, 303, 307 or 308",
        does: "With host_redirect: the status of the redirect.",
        byDefault: "301",
      }),
    ),
  ),
  add_request_headers: headersOf(HeaderAddition, {
    is: "a map of header names to values or to maps of value and append",
    does: "Adds headers to the request; with `append: false` they replace what is there.",
    example: { "x-from": "edge", "x-env": { value: "prod", append: false } },
  }),
  add_response_headers: headersOf(HeaderAddition, {
    is: "a map of header names to values or to maps of value and append",
    does: "Adds headers to the response; with `append: false` they replace what is there.",
  }),
  remove_request_headers: Type.Optional(
    Type.Union(
      Names.anyOf,
      doc({ is: "a header name or a list of them", does: "Removes headers from the request." }),
    ),
  ),
  remove_response_headers: Type.Optional(
    Type.Union(
      Names.anyOf,
      doc({ is: "a header name or a list of them", does: "Removes headers from the response." }),
    ),
  ),
  add_linkerd_headers: flag({
    does: "Sets l5d-dst-override to the service's address, which Linkerd routes by.",
    byDefault: "the Module's",
  }),
  timeout_ms: milliseconds({
    does: "How long the response may take to be complete; 0: for ever.",
    byDefault: "the Module's cluster_request_timeout_ms, else 3000",
  }),
  idle_timeout_ms: milliseconds({
    does: "How long a request may go without a byte either way; 0: for ever.",
    byDefault: "300000",
  }),
  connect_timeout_ms: milliseconds(
    { does: "How long a connection may take, TLS included.", byDefault: "3000" },
    1,
  ),
  cluster_idle_timeout_ms: milliseconds({
    does: "Closes upstream connections that nobody has used for so long.",
    byDefault: "the gateway's limit",
  }),
  cluster_max_connection_lifetime_ms: milliseconds({
    does: "Retires upstream connections of this age once they are idle.",
    byDefault: "no limit",
  }),
  retry_policy: RETRY_POLICY,
  cors: CORS,
  circuit_breakers: CIRCUIT_BREAKERS,
  load_balancer: LOAD_BALANCER,
  keepalive: KEEPALIVE,
  error_response_overrides: ERROR_RESPONSE_OVERRIDES,
  bypass_error_response_overrides: flag({
    does: "Leaves the Module's error_response_overrides out for this Mapping.",
    byDefault: "false",
  }),
  dns_type: oneOf(["strict_dns", "logical_dns"], {
    does: "strict_dns spreads over every address of the service; logical_dns uses the first of each resolution.",
    byDefault: "strict_dns",
  }),
  respect_dns_ttl: flag({ does: "Resolves again when the DNS answer's TTL is over.", byDefault: "false" }),
  enable_ipv4: flag({ does: "Uses the service's IPv4 addresses.", byDefault: "the Module's, else true" }),
  enable_ipv6: flag({ does: "Uses the service's IPv6 addresses.", byDefault: "the Module's, else false" }),
  grpc: flag({ does: "Speaks HTTP/2 to the service, as gRPC needs.", byDefault: "false" }),
  use_websocket: flag({
    does: "Passes WebSocket upgrades on.",
    byDefault: "false",
    note: "Write allow_upgrade.",
  }),
  allow_upgrade: Type.Optional(
    Type.Array(
      Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z/-]+$" }),
      doc({
        is: "a list of protocol names",
        does: "Passes upgrades to these protocols on (RFC 9110 §7.8).",
        example: ["websocket"],
      }),
    ),
  ),
  priority: oneOf(["default", "high"], {
    does: "Which of the circuit breakers counts these requests.",
    byDefault: "default",
  }),
  shadow: flag({
    does: "Sends copies of the group's requests here and throws the answers away; `weight` is the share copied.",
    byDefault: "false",
  }),
  bypass_auth: flag({ does: "Takes these requests past the AuthService.", byDefault: "false" }),
  auth_context_extensions: mapOf(Type.String(), {
    is: "a map of names to texts",
    does: "Goes to a gRPC AuthService with each request; one that speaks HTTP has no place for it.",
  }),
  resolver: text({
    is: "the name of a resolver",
    does: "How the service's addresses are found.",
    byDefault: "the Module's, else kubernetes-service",
  }),
  cluster_tag: text({
    is: "a word",
    does: "Keeps this Mapping's upstream connections apart from those of other tags.",
  }),
  outlier_detection: block(
    {
      consecutive_5xx: count({ does: "Responses of 500 and above, in a row.", byDefault: "5" }, 1),
      consecutive_gateway_failure: count(
        { does: "Responses of 502, 503 and 504, or none at all, in a row.", byDefault: "5" },
        1,
      ),
      interval_ms: milliseconds({ does: "How often addresses come back.", byDefault: "10000" }, 1),
      base_ejection_time_ms: milliseconds(
        { does: "How long an address is left out, times how often it was before.", byDefault: "30000" },
        1,
      ),
      max_ejection_percent: count(
        { does: "Per cent of the addresses that may be left out at once.", byDefault: "10" },
        0,
        100,
      ),
    },
    {
      is: "a map of consecutive_5xx, consecutive_gateway_failure, interval_ms, base_ejection_time_ms and max_ejection_percent",
      does: "Leaves out an address for a while after so many failures in a row.",
      example: { consecutive_5xx: 5, base_ejection_time_ms: 30_000 },
    },
  ),
  labels: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Unknown(),
      doc({ is: "a map of domains to lists of labels", does: "Labels for the RateLimitService." }),
    ),
  ),
  docs: Type.Optional(
    Type.Unknown(
      doc({ is: "a map", does: "For the developer portal only; nothing in the gateway reads it." }),
    ),
  ),
};
