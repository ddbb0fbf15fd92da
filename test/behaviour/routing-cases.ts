import assert from "node:assert/strict";
import { mappingYaml, moduleYaml } from "../support/certificates.ts";
import type { BehaviourCase, CasePeers } from "./case.ts";

const get = (path: string, host = "localhost"): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
const path = (expected: string) => (seen: { path: string }) => assert.equal(seen.path, expected);

const threeOfOneHost = ({ cleartext }: CasePeers): string =>
  ["a", "b", "c"]
    .map((name) =>
      mappingYaml(name, {
        prefix: `/${name}/`,
        host: "many.example",
        service: `localhost:${cleartext}`,
        rewrite: `/only/${name}/`,
      }),
    )
    .join("");

export const routingCases: readonly BehaviourCase[] = [
  {
    name: "the prefix is replaced by / where no rewrite is written",
    resources: ({ cleartext }) => mappingYaml("m", { prefix: "/up/", service: `localhost:${cleartext}` }),
    request: get("/up/a/b?q=1"),
    expect: { statuses: [200], seen: path("/a/b?q=1") },
  },
  {
    name: 'rewrite: "" leaves the path alone',
    resources: ({ cleartext }) =>
      mappingYaml("m", { prefix: "/up/", service: `localhost:${cleartext}`, rewrite: "" }),
    request: get("/up/a"),
    expect: { statuses: [200], seen: path("/up/a") },
  },
  {
    name: "the longest prefix wins",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/", service: `localhost:${cleartext}`, rewrite: "/short/" }) +
      mappingYaml("b", { prefix: "/a/b/", service: `localhost:${cleartext}`, rewrite: "/long/" }) +
      mappingYaml("c", { prefix: "/a/", service: `localhost:${cleartext}`, rewrite: "/middle/" }),
    request: get("/a/b/c"),
    expect: { statuses: [200], seen: path("/long/c") },
  },
  {
    name: "precedence beats length",
    resources: ({ cleartext }) =>
      mappingYaml("a", {
        prefix: "/a/",
        service: `localhost:${cleartext}`,
        rewrite: "/first/",
        precedence: 5,
      }) + mappingYaml("b", { prefix: "/a/b/", service: `localhost:${cleartext}`, rewrite: "/long/" }),
    request: get("/a/b/c"),
    expect: { statuses: [200], seen: path("/first/b/c") },
  },
  {
    name: "a Mapping with the request's host beats one without, and its case does not matter",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/", service: `localhost:${cleartext}`, rewrite: "/any/" }) +
      mappingYaml("b", {
        prefix: "/",
        host: "A.example",
        service: `localhost:${cleartext}`,
        rewrite: "/named/",
      }),
    request: get("/x", "a.EXAMPLE"),
    expect: { statuses: [200], seen: path("/named/x") },
  },
  // Of many Mappings none compares the host by itself on Envoy.
  ...["/a/x", "/b/x", "/c/x"].map((asked) => ({
    name: `a host's own Mappings take its name in any case, as it is: ${asked}`,
    resources: threeOfOneHost,
    request: get(asked, "Many.Example"),
    expect: { statuses: [200], seen: path(`/only${asked}`) },
  })),
  {
    name: "a host's own Mappings take no other port of it",
    resources: threeOfOneHost,
    request: get("/b/x", "many.example:8080"),
    expect: { statuses: [404], seen: null, failure: "no_route" },
  },
  {
    name: "a host's own Mappings take its name with a final dot",
    resources: threeOfOneHost,
    request: get("/b/x", "many.example."),
    expect: { statuses: [200], seen: path("/only/b/x") },
  },
  {
    name: "no Mapping: 404, with an id and nothing else about the inside",
    resources: ({ cleartext }) => mappingYaml("m", { prefix: "/up/", service: `localhost:${cleartext}` }),
    request: get("/other"),
    expect: { statuses: [404], body: /"id":"[0-9a-f-]{36}"/, seen: null, failure: "no_route" },
  },
  {
    name: "dot segments are gone before a route is chosen",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/public/", service: `localhost:${cleartext}`, rewrite: "/public/" }) +
      mappingYaml("b", { prefix: "/admin/", service: `localhost:${cleartext}`, rewrite: "/admin/" }),
    request: get("/public/%2e%2e/admin/x"),
    expect: { statuses: [200], seen: path("/admin/x") },
  },
  ...Object.entries({
    "/public/..;/admin/x": "",
    "/public/b/..;a=b/.;/../admin/x": "",
    "/public/%2e.;/admin/x": ", escaped",
  }).map(
    ([target, escaped]): BehaviourCase => ({
      // Servers that take parameters off before they look at dots would serve it as /admin/x.
      name: `dot segments with parameters${escaped} are gone before a route is chosen: ${target}`,
      resources: ({ cleartext }) =>
        mappingYaml("a", { prefix: "/public/", service: `localhost:${cleartext}`, rewrite: "/public/" }) +
        mappingYaml("b", { prefix: "/admin/", service: `localhost:${cleartext}`, rewrite: "/admin/" }),
      request: get(target),
      expect: { statuses: [200], seen: path("/admin/x") },
    }),
  ),
  {
    name: "characters that no path has are encoded before a route is chosen, and not where somebody wrote them",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/", service: `localhost:${cleartext}`, rewrite: "/other/" }) +
      mappingYaml("b", { prefix: "/a|b/", service: `localhost:${cleartext}`, rewrite: "/unused/" }) +
      mappingYaml("c", { prefix: "/a%7Cb/", service: `localhost:${cleartext}`, rewrite: "/c|d/" }),
    request: get('/a|b/"<>^`{}?"|'),
    expect: { statuses: [200], seen: path('/c|d/%22%3C%3E%5E%60%7B%7D?"|') },
  },
  ...["/a../secret", "/a..;/secret"].map(
    (target): BehaviourCase => ({
      name: `a rewrite brings no dot segment back: ${target}`,
      resources: ({ cleartext }) =>
        mappingYaml("m", { prefix: "/a", service: `localhost:${cleartext}`, rewrite: "/" }),
      request: get(target),
      expect: { statuses: [400], seen: null },
    }),
  ),
  {
    name: "an escaped slash is refused where the Module says so",
    resources: ({ cleartext }) =>
      moduleYaml({ reject_requests_with_escaped_slashes: true }) +
      mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }),
    request: get("/a%2Fb"),
    expect: { statuses: [400], seen: null },
  },
  ...Object.entries({
    "a path that climbs above the root": "/../x",
    "an escaped path that climbs above the root": "/%2e%2E/x",
    "an encoded NUL": "/a%00b",
    "a percent sign without its digits": "/a%2",
  }).map(
    ([name, target]): BehaviourCase => ({
      name: `${name}: 400 and closed`,
      resources: ({ cleartext }) => mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }),
      request: `GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      expect: { statuses: [400], head: /connection: close/, seen: null, failure: "bad_request" },
    }),
  ),
  ...["/a%2fb", "/a%5Cb", "/a%5cb"].map(
    (target): BehaviourCase => ({
      name: `${target} is refused where the Module refuses escaped slashes`,
      resources: ({ cleartext }) =>
        moduleYaml({ reject_requests_with_escaped_slashes: true }) +
        mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }),
      request: get(target),
      expect: { statuses: [400], seen: null },
    }),
  ),
  {
    name: "a Mapping that cannot be followed keeps its place: 503, not the shorter prefix",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/", service: `localhost:${cleartext}` }) +
      mappingYaml("b", { prefix: "/closed/", service: `localhost:${cleartext}`, resolver: "nobody" }),
    request: get("/closed/x"),
    expect: { statuses: [503], seen: null, failure: "route_fails_closed" },
  },
  {
    name: "a Mapping that may take less than can be read leaves alone what another takes",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/a/", service: `localhost:${cleartext}` }) +
      mappingYaml("b", { prefix: "/a/", service: `localhost:${cleartext}`, method: "[", method_regex: true }),
    request: get("/a/x"),
    expect: { statuses: [200], seen: path("/x") },
  },
  {
    name: "a Mapping that may take less than can be read does not leave its requests to a shorter prefix",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/", service: `localhost:${cleartext}` }) +
      mappingYaml("b", { prefix: "/a/", service: `localhost:${cleartext}`, method: "[", method_regex: true }),
    request: get("/a/x"),
    expect: { statuses: [503], seen: null, failure: "route_fails_closed" },
  },
  {
    name: "of a header's value that cannot be read the name is certain: closed there alone",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/a/", service: `localhost:${cleartext}` }) +
      mappingYaml("b", { prefix: "/a/", service: `localhost:${cleartext}`, regex_headers: { "x-a": "(" } }),
    request: "GET /a/x HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nConnection: close\r\n\r\n",
    expect: { statuses: [503], seen: null, failure: "route_fails_closed" },
  },
  {
    name: "precedence beats a host",
    resources: ({ cleartext }) =>
      mappingYaml("a", { prefix: "/", service: `localhost:${cleartext}`, rewrite: "/any/", precedence: 5 }) +
      mappingYaml("b", {
        prefix: "/",
        host: "a.example",
        service: `localhost:${cleartext}`,
        rewrite: "/named/",
      }),
    request: get("/x", "a.example"),
    expect: { statuses: [200], seen: path("/any/x") },
  },
  {
    name: "the client of a route that fails closed learns the status and an id; other routes work",
    resources: ({ cleartext }) =>
      mappingYaml("closed-one", { prefix: "/closed/", service: "secret-service", tls: "secret-context" }) +
      mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }),
    request: `GET /closed/ HTTP/1.1\r\nHost: localhost\r\n\r\n${get("/open/")}`,
    expect: {
      statuses: [503, 200],
      head: /^(?![\s\S]*(?:secret|closed|tls))/i,
      body: /^\{"status":503,"message":"Service Unavailable","id":"[0-9a-f-]{36}"\}\n$/,
      seen: path("/open/"),
      failure: "route_fails_closed",
    },
  },
  {
    name: "HEAD on a route that fails closed has no body, and the next answer follows",
    resources: ({ cleartext }) =>
      mappingYaml("closed", { prefix: "/closed/", service: "a", tls: "missing" }) +
      mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }),
    // parseAnswers trusts Content-Length; were there a body, the second answer would not be found behind it.
    request: `HEAD /closed/ HTTP/1.1\r\nHost: localhost\r\n\r\n${get("/open/")}`,
    expect: { statuses: [503], body: /^HTTP\/1\.1 200 OK/, seen: path("/open/") },
  },
  {
    name: "what a client says of its own identity is removed, what the gateway knows is added",
    resources: ({ cleartext }) => mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }),
    request:
      "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Client-Cert: By=me\r\nX-Envoy-Retry-On: 5xx\r\nl5d-dst-override: evil:1\r\n" +
      "X-Forwarded-Proto: https\r\nX-Request-Id: mine\r\nX-Kept: yes\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\n",
    expect: {
      statuses: [200],
      seen({ headers }) {
        for (const name of [
          "x-forwarded-client-cert",
          "x-envoy-retry-on",
          "l5d-dst-override",
          "x-hop",
          "via",
        ]) {
          assert.equal(headers[name], undefined, name);
        }
        assert.equal(headers["x-kept"], "yes");
        assert.equal(headers["x-forwarded-proto"], "http");
        assert.equal(headers["x-forwarded-for"], "127.0.0.1");
        assert.match(String(headers["x-request-id"]), /^[0-9a-f-]{36}$/);
      },
    },
  },
  {
    name: "X-Forwarded-For grows by the address of the client, and nothing that it says takes that away",
    resources: ({ cleartext }) => mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }),
    request:
      "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nConnection: close\r\n\r\n",
    expect: {
      statuses: [200],
      seen: ({ headers }) =>
        assert.deepEqual(String(headers["x-forwarded-for"]).split(/, ?/), [
          "192.0.2.1",
          "192.0.2.2",
          "127.0.0.1",
        ]),
    },
  },
  {
    name: "what is hop-by-hop in a request ends here; a TE for trailers is said anew",
    resources: ({ cleartext }) => mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }),
    request:
      "GET / HTTP/1.1\r\nHost: localhost\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nTE: gzip, trailers\r\n" +
      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: close, TE2, Upgrade, HTTP2-Settings\r\nTE2: x\r\n\r\n",
    expect: {
      statuses: [200],
      seen({ headers }) {
        for (const name of ["keep-alive", "proxy-connection", "upgrade", "http2-settings", "te2"])
          assert.equal(headers[name], undefined, name);
        assert.equal(headers.te, "trailers");
      },
    },
  },
  {
    name: "an upstream that refuses connections: 503 with its reason",
    resources: () => mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }),
    request: get("/"),
    expect: { statuses: [503], failure: "upstream_connect_refused" },
  },
  {
    name: "a name that does not exist: 503 with its reason",
    resources: () => mappingYaml("m", { prefix: "/", service: "no-such-name.invalid" }),
    request: get("/"),
    expect: { statuses: [503], failure: "upstream_dns_failure" },
  },
];
