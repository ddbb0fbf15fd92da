import { Type } from "typebox";
import { block, count, doc, flag, milliseconds, oneOf, text } from "./field-doc.ts";
import { GZIP } from "./gzip.ts";
import { ACTION_FIELDS } from "./mapping-action.ts";
import {
  CIRCUIT_BREAKERS,
  CORS,
  ERROR_RESPONSE_OVERRIDES,
  KEEPALIVE,
  LOAD_BALANCER,
  RETRY_POLICY,
} from "./policies.ts";

const { add_request_headers, add_response_headers, remove_request_headers, remove_response_headers } =
  ACTION_FIELDS;

/** Defaults for Mappings that name none themselves. */
const MAPPING_DEFAULTS = {
  add_request_headers,
  add_response_headers,
  remove_request_headers,
  remove_response_headers,
};

/** What an address rule looks at: the connection's peer, or the client as X-Forwarded-For tells it. */
const AddressRules = Type.Array(
  Type.Union([
    Type.Object({ peer: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
    Type.Object({ remote: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
  ]),
);

function probe(what: "alive" | "ready") {
  return block(
    {
      enabled: flag({ does: "Whether it is answered at all.", byDefault: "true" }),
      prefix: Type.Optional(
        Type.String({
          pattern: "^/[!-~]*$",
          ...doc({
            is: "a path that begins with /",
            does: "The path.",
            byDefault: `/ambassador/v0/check_${what}`,
          }),
        }),
      ),
    },
    {
      is: "a map of enabled and prefix",
      does: `Where every listener answers whether the gateway is ${what}.`,
      byDefault: `enabled, at /ambassador/v0/check_${what}`,
    },
  );
}

/** The keys of Module `ambassador` that are acted on (reference §2.7). */
export const MODULE_FIELDS = {
  add_linkerd_headers: flag({ does: "Default of the Mappings' add_linkerd_headers.", byDefault: "false" }),
  buffer: block(
    {
      max_request_bytes: Type.Integer({
        minimum: 1,
        maximum: 2 ** 32 - 1,
        ...doc({ is: "a number of bytes up to 4294967295", does: "The largest body that is taken." }),
      }),
    },
    {
      is: "a map of max_request_bytes",
      does: "Answers 413 to requests with a larger body.",
      example: { max_request_bytes: 1_048_576 },
    },
  ),
  circuit_breakers: CIRCUIT_BREAKERS,
  cluster_idle_timeout_ms: milliseconds({ does: "Default of the Mappings' cluster_idle_timeout_ms." }),
  cluster_max_connection_lifetime_ms: milliseconds({
    does: "Default of the Mappings' cluster_max_connection_lifetime_ms.",
  }),
  cluster_request_timeout_ms: milliseconds({
    does: "Default of the Mappings' timeout_ms.",
    byDefault: "3000",
  }),
  cors: CORS,
  defaults: Type.Optional(
    Type.Object(
      {
        tls_secret_namespacing: flag({ does: "Default of the TLSContexts' secret_namespacing." }),
        httpmapping: block(MAPPING_DEFAULTS, {
          is: "a map of add_request_headers, add_response_headers, remove_request_headers and remove_response_headers",
          does: "Defaults for Mappings that do not have the field.",
        }),
        ...MAPPING_DEFAULTS,
      },
      doc({
        is: "a map of tls_secret_namespacing, httpmapping and header fields of Mappings",
        does: "Defaults for TLSContexts and Mappings that do not have the field.",
      }),
    ),
  ),
  default_labels: Type.Optional(
    Type.Record(
      Type.String({ minLength: 1 }),
      Type.Object(
        {
          defaults: Type.Optional(
            Type.Array(Type.Unknown(), doc({ is: "a list of labels", does: "The labels, as a Mapping's." })),
          ),
        },
        { additionalProperties: false },
      ),
      doc({
        is: "a map of a domain to a map of defaults, a list of labels",
        does: "Stand before the labels of each rate limit that a Mapping has for that domain.",
        example: { ambassador: { defaults: ["remote_address"] } },
      }),
    ),
  ),
  enable_ipv4: flag({ does: "Default of the Mappings' enable_ipv4.", byDefault: "true" }),
  enable_ipv6: flag({ does: "Default of the Mappings' enable_ipv6.", byDefault: "false" }),
  error_response_overrides: ERROR_RESPONSE_OVERRIDES,
  forward_client_cert_details: oneOf(
    ["SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"],
    {
      does: "What becomes of X-Forwarded-Client-Cert: removed, passed on, added to or set anew.",
      byDefault: "SANITIZE",
    },
  ),
  set_current_client_cert_details: block(
    {
      subject: flag({ does: "Its subject (RFC 2253).", byDefault: "false" }),
      cert: flag({ does: "The certificate, as PEM in percent-encoding.", byDefault: "false" }),
      chain: flag({ does: "The chain, as PEM in percent-encoding.", byDefault: "false" }),
      dns: flag({ does: "Its DNS names.", byDefault: "false" }),
      uri: flag({ does: "Its URIs.", byDefault: "false" }),
    },
    {
      is: "a map of subject, cert, chain, dns and uri to true or false",
      does: "What X-Forwarded-Client-Cert says of the client's certificate beside its hash.",
      example: { subject: true, uri: true },
    },
  ),
  gzip: GZIP,
  headers_with_underscores_action: oneOf(["ALLOW", "REJECT_REQUEST", "DROP_HEADER"], {
    does: "What becomes of headers with _ in their names, which some programs read as -.",
    byDefault: "ALLOW",
  }),
  ip_allow: Type.Optional(
    Type.Union([AddressRules], {
      ...doc({
        is: "a list of maps with peer or remote and an address range",
        does: "Answers 403 to clients outside of these ranges.",
        example: [{ peer: "127.0.0.1" }, { remote: "99.99.0.0/16" }],
      }),
    }),
  ),
  ip_deny: Type.Optional(
    Type.Union([AddressRules], {
      ...doc({
        is: "a list of maps with peer or remote and an address range",
        does: "Answers 403 to clients in these ranges.",
      }),
    }),
  ),
  keepalive: KEEPALIVE,
  liveness_probe: probe("alive"),
  readiness_probe: probe("ready"),
  listener_idle_timeout_ms: milliseconds({
    does: "Closes client connections that are idle for so long.",
    byDefault: "the gateway's limit",
  }),
  load_balancer: LOAD_BALANCER,
  max_request_headers_kb: count({ does: "Answers 431 to larger request heads.", byDefault: "60" }, 1, 8192),
  merge_slashes: flag({ does: "Reads runs of / in a path as one.", byDefault: "false" }),
  preserve_external_request_id: flag({ does: "Keeps a client's X-Request-Id.", byDefault: "false" }),
  regex_max_size: count(
    { does: "The largest regular expression, in instructions of its program.", byDefault: "200" },
    1,
  ),
  reject_requests_with_escaped_slashes: flag({
    does: "Answers 400 to paths with %2F or %5C.",
    byDefault: "false",
  }),
  resolver: text({
    is: "the name of a resolver",
    does: "Default of the Mappings' resolver.",
    byDefault: "kubernetes-service",
  }),
  retry_policy: RETRY_POLICY,
  server_name: Type.Optional(
    Type.String({
      pattern: "^[!-~]{1,64}$",
      ...doc({ is: "a word without spaces", does: "The server header of responses.", byDefault: "credence" }),
    }),
  ),
  service_port: count(
    {
      does: "The port of the https listener, or of the http listener where nothing is served over TLS.",
      byDefault: "8080, or 8443 with TLS",
    },
    0,
    65_535,
  ),
  strip_matching_host_port: flag({ does: "Compares hosts without their port.", byDefault: "false" }),
  tls: Type.Optional(
    Type.Record(
      Type.String({ minLength: 1 }),
      Type.Unknown(),
      doc({
        is: "a map of server, client and names of contexts to maps of a TLSContext's fields",
        does: "server: serves every name over TLS; client: the CA that clients are checked against; others: contexts for upstreams.",
        note: "The old way: write a Host or a TLSContext.",
        example: { server: { enabled: true, secret: "ambassador-certs" } },
      }),
    ),
  ),
  upstream_verification: oneOf(["required", "optional"], {
    does: "required: a Mapping that speaks TLS without verifying its upstream answers 503.",
    byDefault: "optional",
    note: "Not a key of 1.14.",
  }),
  use_ambassador_namespace_for_service_resolution: flag({
    does: "Looks up short service names in the gateway's own namespace.",
    byDefault: "false",
  }),
  use_proxy_proto: flag({
    does: "Every connection begins with a PROXY header, version 1 or 2, which tells the client's address; others are closed.",
    byDefault: "false",
  }),
  use_remote_address: flag({
    does: "The connection's address is the client's; false: a trusted proxy stands before the gateway.",
    byDefault: "true",
  }),
  x_forwarded_proto_redirect: flag({
    does: "Redirects cleartext requests to https, where there is neither a Host nor a TLSContext with hosts.",
    byDefault: "false",
    note: "Write a Host with requestPolicy.insecure.action Redirect.",
  }),
  xff_num_trusted_hops: count(
    { does: "How many trusted proxies stand before the gateway.", byDefault: "0" },
    0,
    1000,
  ),
};

/** Keys that ask for nothing that Credence does not do anyway, or that are of Envoy alone: what to use instead. */
export const KEYS_WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  admin_port: "Use --admin-port: Envoy's own admin page does not exist here.",
  allow_chunked_length:
    "Remove it: a message with both Content-Length and Transfer-Encoding is always refused.",
  buffer_limit_bytes: "Remove it: bodies are passed on, and the bounds are flags of `credence run`.",
  debug_mode: "Use --log-level debug.",
  default_label_domain: "Remove it: labels stand under the domain that they are for.",
  diagnostics: "Remove it: diagnostics are on the admin port only.",
  enable_grpc_http11_bridge: "Remove it: gRPC is not served yet.",
  enable_grpc_web: "Remove it: gRPC is not served yet.",
  grpc_stats: "Remove it: gRPC is not served yet.",
  enable_http10: "Do not rely on it: HTTP/1.0 is answered with 426.",
  envoy_log_type: "Remove it: the access log is JSON lines on standard output (--no-access-log).",
  envoy_log_path: "Remove it: the access log is JSON lines on standard output (--no-access-log).",
  envoy_log_format: "Remove it: the access log is JSON lines on standard output (--no-access-log).",
  envoy_validation_timeout: "Remove it: what the engine rejects leaves the previous revision running.",
  header_case_overrides: "Do not rely on it: header names are passed on as they were written.",
  proper_case: "Do not rely on it: header names are passed on as they were written.",
  suppress_envoy_headers: "Remove it: no x-envoy- headers are added.",
  prune_unreachable_routes: "Remove it: a request's cost does not grow with the number of routes.",
  regex_type: "Remove it: expressions are RE2's.",
  statsd: "Scrape /metrics on the admin port.",
};
