import assert from "node:assert/strict";
import { mappingYaml, moduleYaml } from "../support/certificates.ts";
import type { SeenRequest } from "../support/upstream.ts";
import type { BehaviourCase, CasePeers } from "./case.ts";

interface Asked {
  readonly method?: string;
  readonly host?: string;
  /** Header lines, each with its CRLF. */
  readonly headers?: string;
}

const ask = (path: string, { method = "GET", host = "localhost", headers = "" }: Asked = {}): string =>
  `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}Connection: close\r\n\r\n`;
const path = (expected: string) => (seen: SeenRequest) => assert.equal(seen.path, expected);

/** Two Mappings of one prefix: `narrow` with what is said, `/wide/` for the rest. */
const narrow =
  (constraint: Record<string, unknown>) =>
  ({ cleartext }: CasePeers): string =>
    mappingYaml("narrow", {
      prefix: "/a/",
      service: `localhost:${cleartext}`,
      rewrite: "/narrow/",
      ...constraint,
    }) + mappingYaml("wide", { prefix: "/a/", service: `localhost:${cleartext}`, rewrite: "/wide/" });
const one =
  (spec: Record<string, unknown>, module?: Record<string, unknown>) =>
  ({ cleartext }: CasePeers): string =>
    (module === undefined ? "" : moduleYaml(module)) +
    mappingYaml("m", { prefix: "/a/", service: `localhost:${cleartext}`, ...spec });

const matching = (
  name: string,
  constraint: Record<string, unknown>,
  yes: readonly string[],
  no: readonly string[],
): BehaviourCase[] =>
  [...yes.map((request) => [request, "narrow"]), ...no.map((request) => [request, "wide"])].map(
    ([request = "", taken], index) => ({
      name: `${name}, request ${index + 1} goes to the ${taken} one`,
      resources: narrow(constraint),
      request,
      expect: {
        statuses: [200],
        seen: ({ path }: SeenRequest) => assert.match(path, new RegExp(`^/${taken}(?:/|$)`)),
      },
    }),
  );

/** A head with all of these lines, in any order. */
function fields(...lines: readonly string[]): RegExp {
  const all = lines.map((line) => `(?=[^]*\\r\\n${line.replace(/[.*/]/g, "\\$&")}(?:\\r\\n|$))`);
  return new RegExp(`^${all.join("")}`);
}

export const mappingCases: readonly BehaviourCase[] = [
  ...matching("prefix_exact", { prefix_exact: true }, [ask("/a/"), ask("/a/?q=1")], [ask("/a/b")]),
  ...matching(
    "prefix_regex",
    { prefix: "/a/[0-9]+", prefix_regex: true },
    [ask("/a/17"), ask("/a/17?q=x")],
    [ask("/a/17/b"), ask("/a/x")],
  ),
  ...matching(
    "case_sensitive: false",
    { prefix: "/A/B/", case_sensitive: false },
    [ask("/a/b/c")],
    [ask("/a/c")],
  ),
  ...matching(
    "host_regex",
    { host: "[a-z]+\\.example", host_regex: true },
    [ask("/a/", { host: "B.example" })],
    [ask("/a/", { host: "b.example.org" }), ask("/a/")],
  ),
  ...matching("method", { method: "POST" }, [ask("/a/", { method: "POST" })], [ask("/a/")]),
  ...matching(
    "method_regex",
    { method: "P(UT|OST)", method_regex: true },
    [ask("/a/", { method: "PUT" })],
    [ask("/a/", { method: "PATCH" }), ask("/a/")],
  ),
  ...matching(
    "headers",
    { headers: { "x-canary": "always", "x-user": true } },
    [ask("/a/", { headers: "X-Canary: always\r\nX-User: u\r\n" })],
    [
      ask("/a/", { headers: "X-Canary: Always\r\nX-User: u\r\n" }),
      ask("/a/", { headers: "X-Canary: always\r\n" }),
      ask("/a/", { headers: "X-Canary: always\r\nX-Canary: never\r\nX-User: u\r\n" }),
    ],
  ),
  ...matching(
    "regex_headers",
    { regex_headers: { "x-version": "v[12]" } },
    [ask("/a/", { headers: "X-Version: v2\r\n" })],
    [ask("/a/", { headers: "X-Version: v23\r\n" }), ask("/a/")],
  ),
  ...matching(
    "query_parameters",
    { query_parameters: { v: "2", debug: true }, regex_query_parameters: { id: "[0-9]+" } },
    [ask("/a/?debug&v=2&id=17"), ask("/a/?id=1&v=2&debug=no")],
    [ask("/a/?debug&v=2&id=x"), ask("/a/?v=2&id=17"), ask("/a/?debug&v=3&id=17"), ask("/a/?debug&vv=2&id=1")],
  ),
  {
    name: "regex_rewrite replaces every match, groups included, and leaves the query alone",
    resources: one({ regex_rewrite: { pattern: "/([a-z])([0-9])", substitution: "/\\2\\1" } }),
    request: ask("/a/b1/c2?x=/d3"),
    expect: { statuses: [200], seen: path("/a/1b/2c?x=/d3") },
  },
  {
    name: "a rewrite that would climb above the root is refused",
    resources: one({ regex_rewrite: { pattern: "^/a/x", substitution: "/../.." } }),
    request: ask("/a/x/etc"),
    expect: { statuses: [400], seen: null, failure: "bad_request" },
  },
  {
    name: "auto_host_rewrite sends the service's name",
    resources: one({ auto_host_rewrite: true }),
    request: ask("/a/", { host: "outside.example" }),
    expect: { statuses: [200], seen: ({ headers }) => assert.equal(headers.host, "localhost") },
  },
  {
    name: "host_redirect keeps path and query, and asks no upstream",
    resources: () =>
      mappingYaml("m", { prefix: "/a/", service: "https://b.example:8443", host_redirect: true }),
    request: ask("/a/b?c=d"),
    expect: { statuses: [301], head: /location: https:\/\/b\.example:8443\/a\/b\?c=d\r\n/, seen: null },
  },
  {
    name: "prefix_redirect replaces the prefix, with the status asked for",
    resources: () =>
      mappingYaml("m", {
        prefix: "/a/",
        service: "b.example",
        host_redirect: true,
        prefix_redirect: "/new/",
        redirect_response_code: 307,
      }),
    request: ask("/a/b?c=d"),
    expect: { statuses: [307], head: /location: http:\/\/b\.example\/new\/b\?c=d\r\n/, seen: null },
  },
  {
    name: "path_redirect wins, and brings the query along",
    resources: () =>
      mappingYaml("m", {
        prefix: "/a/",
        service: "b.example",
        host_redirect: true,
        path_redirect: "/there",
        prefix_redirect: "/new/",
      }),
    request: ask("/a/b?c=d"),
    expect: { statuses: [301], head: /location: http:\/\/b\.example\/there\?c=d\r\n/, seen: null },
  },
  {
    name: "request headers are removed, added and replaced",
    resources: one({
      add_request_headers: {
        "x-added": "edge",
        "x-kept": "second",
        "x-new": { value: "only", append: false },
      },
      remove_request_headers: ["X-Secret"],
    }),
    request: ask("/a/", { headers: "X-Secret: s\r\nX-Kept: first\r\nX-New: old\r\nX-Other: o\r\n" }),
    expect: {
      statuses: [200],
      seen({ headers }) {
        assert.equal(headers["x-secret"], undefined);
        assert.equal(headers["x-added"], "edge");
        assert.equal(headers["x-kept"], "first, second");
        assert.equal(headers["x-new"], "only");
        assert.equal(headers["x-other"], "o");
      },
    },
  },
  {
    name: "a Mapping that is closed keeps its host, with a final dot too",
    resources: (peers) =>
      mappingYaml("closed", { prefix: "/", host: "a.example", service: "b", tls: "no-such-context" }) +
      mappingYaml("open", { prefix: "/", service: `localhost:${peers.cleartext}` }),
    request: "GET / HTTP/1.1\r\nHost: A.example.\r\nConnection: close\r\n\r\n",
    expect: { statuses: [503], seen: null, failure: "route_fails_closed" },
  },
  {
    name: "no character of a header value that is added ends its line",
    resources: one({
      add_request_headers: { "x-a": "a\u010d\u010ax-b: 1", "x-umlaut": "\u00fc" },
      add_response_headers: { "x-c": "c\u010d\u010ax-d: 1" },
    }),
    request: ask("/a/"),
    expect: {
      statuses: [200],
      head: /x-c: c\xc4\x8d\xc4\x8ax-d: 1/,
      seen({ headers }) {
        assert.equal(headers["x-b"], undefined);
        assert.equal(headers["x-umlaut"], "\xc3\xbc", "UTF-8");
      },
    },
  },
  ...(
    [
      ["a header name that is none", { add_request_headers: { "transfer-encoding ": "chunked" } }],
      ["a header name of two lines", { add_response_headers: { "x: 1\r\nset-cookie": "a=b" } }],
      ["a control character in cors", { cors: { origins: ["*"], headers: ["x\r\nset-cookie: a=b"] } }],
      [
        "a letter that is no ASCII in cors",
        { cors: { origins: ["*"], methods: "GET\u010aset-cookie: a=b" } },
      ],
    ] as const
  ).map(
    ([name, spec]): BehaviourCase => ({
      name: `${name} closes the Mapping`,
      resources: one(spec),
      request: ask("/a/"),
      expect: { statuses: [503], seen: null, failure: "route_fails_closed" },
    }),
  ),
  {
    name: "header values may hold operators, as Envoy's do",
    resources: one({
      add_request_headers: {
        "x-ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "x-rate": "50%% %PROTOCOL%",
      },
      add_response_headers: { "x-tls": "[%DOWNSTREAM_TLS_VERSION%]" },
    }),
    request: ask("/a/"),
    expect: {
      statuses: [200],
      head: /x-tls: \[\]/,
      seen({ headers }) {
        assert.equal(headers["x-ip"], "127.0.0.1");
        assert.equal(headers["x-rate"], "50% HTTP/1.1");
      },
    },
  },
  {
    name: "response headers are removed, added and replaced",
    resources: one({
      add_response_headers: { "x-added": "edge" },
      remove_response_headers: "Content-Type",
    }),
    request: ask("/a/"),
    expect: { statuses: [200], head: /^(?!.*content-type).*x-added: edge(?:\r\n|$)/is, seen: path("/") },
  },
  {
    name: "a CORS preflight is answered here",
    resources: one({
      cors: { origins: ["https://a.example"], methods: ["GET", "PUT"], max_age: "600", credentials: true },
    }),
    request: ask("/a/", {
      method: "OPTIONS",
      headers: "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n",
    }),
    expect: {
      statuses: [200],
      head: fields(
        "access-control-allow-origin: https://a.example",
        "access-control-allow-credentials: true",
        "vary: Origin",
        "access-control-allow-methods: GET, PUT",
        "access-control-max-age: 600",
      ),
      seen: null,
    },
  },
  {
    name: "an origin that the policy does not name gets no CORS headers",
    resources: one({ cors: { origins: ["https://a.example"] } }),
    request: ask("/a/", { headers: "Origin: https://evil.example\r\n" }),
    expect: { statuses: [200], head: /^(?!.*access-control).*$/is, seen: path("/") },
  },
  {
    name: "a response to an allowed origin says so",
    resources: one({ cors: { origins: "https://a.example", exposed_headers: ["x-a"] } }),
    request: ask("/a/", { headers: "Origin: https://a.example\r\n" }),
    expect: {
      statuses: [200],
      head: fields(
        "access-control-allow-origin: https://a.example",
        "vary: Origin",
        "access-control-expose-headers: x-a",
      ),
      seen: path("/"),
    },
  },
  {
    name: "an upgrade that the Mapping does not list is refused",
    resources: one({}),
    request:
      "GET /a/ HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    expect: { statuses: [403], seen: null, failure: "upgrade_refused" },
  },
  {
    name: "an offer of h2c is no upgrade: the request is served as it is",
    resources: one({}),
    request:
      "GET /a/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    expect: {
      statuses: [200],
      seen: ({ headers }) => assert.equal(headers.upgrade ?? headers["http2-settings"], undefined),
    },
  },
  {
    name: "l5d-dst-override is ours, whatever the client says",
    resources: one({ add_linkerd_headers: true }),
    request: ask("/a/", { headers: "L5d-Dst-Override: evil:1\r\n" }),
    expect: {
      statuses: [200],
      seen: ({ headers }) => assert.match(String(headers["l5d-dst-override"]), /^localhost:\d+$/),
    },
  },
  {
    name: "readiness is answered on every listener, whatever the host",
    resources: one({}),
    request: ask("/ambassador/v0/check_ready", { host: "10.0.0.1:8080" }),
    expect: { statuses: [200], seen: null },
  },
  ...["/x/../ambassador/v0/check_ready", "/ambassador/v0/check%5Fready"].map(
    (target): BehaviourCase => ({
      name: `readiness is a path like any other, in its normal form: ${target}`,
      resources: one({}),
      request: ask(target),
      expect: { statuses: [200], seen: null },
    }),
  ),
  {
    name: "a path that leads out of readiness is none",
    resources: one({ prefix: "/" }),
    request: ask("/ambassador/v0/check_ready/../../../x"),
    expect: { statuses: [200], seen: ({ path }) => assert.equal(path, "/x") },
  },
  {
    name: "liveness_probe has the prefix that the Module says",
    resources: one(
      { prefix: "/" },
      { liveness_probe: { prefix: "/healthz" }, readiness_probe: { enabled: false } },
    ),
    request: ask("/healthz"),
    expect: { statuses: [200], seen: null },
  },
  {
    name: "a probe that is switched off is a path like any other",
    resources: one({ prefix: "/", rewrite: "" }, { readiness_probe: { enabled: false } }),
    request: ask("/ambassador/v0/check_ready"),
    expect: { statuses: [200], seen: path("/ambassador/v0/check_ready") },
  },
  {
    name: "ip_deny of the peer: 403",
    resources: one({}, { ip_deny: [{ peer: "127.0.0.0/8" }] }),
    request: ask("/a/"),
    expect: { statuses: [403], seen: null, failure: "address_refused" },
  },
  {
    name: "ip_allow of the client behind a trusted proxy",
    resources: one({}, { ip_allow: [{ remote: "10.1.0.0/16" }], xff_num_trusted_hops: 1 }),
    request: ask("/a/", { headers: "X-Forwarded-For: 10.1.2.3\r\n" }),
    expect: { statuses: [200], seen: path("/") },
  },
  {
    name: "ip_allow goes by the trusted proxy's line where the client sent an X-Forwarded-For of its own",
    resources: one({}, { ip_allow: [{ remote: "10.1.0.0/16" }], xff_num_trusted_hops: 1 }),
    request: ask("/a/", { headers: "X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-For: 192.0.2.9\r\n" }),
    expect: { statuses: [403], seen: null, failure: "address_refused" },
  },
  {
    name: "ip_allow does not believe X-Forwarded-For where no proxy is trusted",
    resources: one({}, { ip_allow: [{ remote: "10.1.0.0/16" }] }),
    request: ask("/a/", { headers: "X-Forwarded-For: 10.1.2.3\r\n" }),
    expect: { statuses: [403], seen: null, failure: "address_refused" },
  },
  {
    name: "max_request_headers_kb bounds the head",
    resources: one({}, { max_request_headers_kb: 1 }),
    request: ask("/a/", { headers: `X-Long: ${"x".repeat(2000)}\r\n` }),
    expect: { statuses: [431], seen: null, failure: "head_too_large" },
  },
  {
    name: "buffer.max_request_bytes refuses a body that says it is larger",
    resources: one({}, { buffer: { max_request_bytes: 4 } }),
    request: `${ask("/a/", { method: "POST", headers: "Content-Length: 5\r\n" })}12345`,
    expect: { statuses: [413], seen: null, failure: "body_too_large" },
  },
  {
    name: "buffer.max_request_bytes refuses a chunked body once it is larger",
    resources: one({}, { buffer: { max_request_bytes: 20 } }),
    request: `${ask("/a/", { method: "POST", headers: "Transfer-Encoding: chunked\r\n" })}20\r\n${"x".repeat(32)}\r\n0\r\n\r\n`,
    expect: { statuses: [413], seen: null, failure: "body_too_large" },
  },
  {
    name: "headers_with_underscores_action REJECT_REQUEST",
    resources: one({}, { headers_with_underscores_action: "REJECT_REQUEST" }),
    request: ask("/a/", { headers: "X_Forwarded_For: 1\r\n" }),
    expect: { statuses: [400], seen: null, failure: "bad_request" },
  },
  {
    name: "headers_with_underscores_action DROP_HEADER",
    resources: one({}, { headers_with_underscores_action: "DROP_HEADER" }),
    request: ask("/a/", { headers: "X_User: 1\r\nX-User: 2\r\n" }),
    expect: {
      statuses: [200],
      seen({ headers }) {
        assert.equal(headers.x_user, undefined);
        assert.equal(headers["x-user"], "2");
      },
    },
  },
];
