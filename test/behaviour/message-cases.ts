import assert from "node:assert/strict";
import { mappingYaml } from "../support/certificates.ts";
import type { BehaviourCase, CasePeers } from "./case.ts";

const resources = ({ cleartext }: CasePeers): string =>
  mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` });
const line = "Host: localhost\r\n";

const chunked = (body: string): string =>
  `POST / HTTP/1.1\r\n${line}Transfer-Encoding: chunked\r\n\r\n${body}`;

/** Two parsers could read each of these differently (RFC 9112 §6.3, §11.2): 400, closed, never forwarded. */
const AMBIGUOUS: Readonly<Record<string, string>> = {
  "two Content-Lengths that differ": `POST / HTTP/1.1\r\n${line}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
  "two Content-Lengths that agree": `POST / HTTP/1.1\r\n${line}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`,
  "a list in Content-Length": `POST / HTTP/1.1\r\n${line}Content-Length: 1, 1\r\n\r\na`,
  "a sign in Content-Length": `POST / HTTP/1.1\r\n${line}Content-Length: +1\r\n\r\na`,
  "a Content-Length beyond what can be counted": `POST / HTTP/1.1\r\n${line}Content-Length: 18446744073709551617\r\n\r\na`,
  "Content-Length beside Transfer-Encoding": `POST / HTTP/1.1\r\n${line}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "a Transfer-Encoding other than chunked": `POST / HTTP/1.1\r\n${line}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  "chunked twice": `POST / HTTP/1.1\r\n${line}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "a space before the colon": `GET / HTTP/1.1\r\n${line}X-A : b\r\n\r\n`,
  "a folded line": `GET / HTTP/1.1\r\n${line}X-A: b\r\n c\r\n\r\n`,
  "a bare CR in a value": `GET / HTTP/1.1\r\n${line}X-A: b\rc\r\n\r\n`,
  "a bare CR that hides a field": `GET / HTTP/1.1\r\n${line}X-A: b\rxX-B: c\r\n\r\n`,
  "a bare CR behind the version": `GET / HTTP/1.1\rx${line}\r\n`,
  "a bare LF between fields": `GET / HTTP/1.1\r\n${line}X-A: b\nX-B: c\r\n\r\n`,
  "a NUL in a value": `GET / HTTP/1.1\r\n${line}X-A: b\0c\r\n\r\n`,
  "two Hosts": `GET / HTTP/1.1\r\n${line}Host: other\r\n\r\n`,
  "no Host": "GET / HTTP/1.1\r\nX-A: b\r\n\r\n",
  "a Host with a path": "GET / HTTP/1.1\r\nHost: localhost/admin\r\n\r\n",
  "a Host with a user": "GET / HTTP/1.1\r\nHost: localhost@other\r\n\r\n",
  "a list in Host": "GET / HTTP/1.1\r\nHost: localhost, other\r\n\r\n",
  "an empty Host": "GET / HTTP/1.1\r\nHost:\r\n\r\n",
  "a Connection that nominates Host": `GET / HTTP/1.1\r\n${line}Connection: host\r\n\r\n`,
  "a Connection that nominates Authorization": `GET / HTTP/1.1\r\n${line}Authorization: Basic eDp5\r\nConnection: Authorization\r\n\r\n`,
  "a Connection that nominates Content-Length": `POST / HTTP/1.1\r\n${line}Content-Length: 1\r\nConnection: content-length\r\n\r\na`,
  "a Connection that nominates X-Forwarded-For": `GET / HTTP/1.1\r\n${line}Connection: x-forwarded-for\r\n\r\n`,
  "a Connection of eleven options": `GET / HTTP/1.1\r\n${line}Connection: ${"a, ".repeat(10)}close\r\n\r\n`,
  "a Connection of as many options as a head holds": `GET / HTTP/1.1\r\n${line}Connection: ${"a,".repeat(29_000)}b\r\n\r\n`,
  "a CONNECT to a path": `CONNECT / HTTP/1.1\r\n${line}\r\n`,
  "a CONNECT in absolute-form": `CONNECT http://localhost/ HTTP/1.1\r\n${line}\r\n`,
  "an absolute-form with another Host": `GET http://other/ HTTP/1.1\r\n${line}\r\n`,
  "an absolute-form of https in cleartext": `GET HTTPS://localhost/ HTTP/1.1\r\n${line}\r\n`,
  "a fragment in the target": `GET /a#b HTTP/1.1\r\n${line}\r\n`,
  "a byte beyond ASCII in the target": `GET /\xe4 HTTP/1.1\r\n${line}\r\n`,
  "a control character in the target": `GET /a\x7fb HTTP/1.1\r\n${line}\r\n`,
  "a space in the target": `GET /a b HTTP/1.1\r\n${line}\r\n`,
  "a chunk size that is no number": `POST / HTTP/1.1\r\n${line}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n`,
  "a chunk size with a sign": `POST / HTTP/1.1\r\n${line}Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n`,
  "a chunk size of too many digits": chunked("00000000000005\r\nhello\r\n0\r\n\r\n"),
  "no chunk size, and then an end": chunked("\r\n\r\n"),
  "trailers without bound, and without an end": chunked(`0\r\nX-A: ${"a".repeat(9000)}`),
  "no chunk size": chunked("\r\nhello\r\n0\r\n\r\n"),
  "a chunk size that a bare LF ends": chunked("5\nhello\r\n0\r\n\r\n"),
  "a chunk that a bare LF ends": chunked("5\r\nhello\n0\r\n\r\n"),
  "a chunk without an end": chunked("5\r\nhello0\r\n\r\n"),
  "a bare LF in a chunk extension": chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"),
  "chunk extensions without bound": chunked(`5;${"a".repeat(5000)}\r\nhello\r\n0\r\n\r\n`),
  "a bare LF where trailers end": chunked("0\r\n\n"),
  "a trailer that a bare LF ends": chunked("0\r\nX-A: b\n\n"),
  "a trailer that is no field": chunked("0\r\nX A: b\r\n\r\n"),
  "trailers without bound": chunked(`0\r\nX-A: ${"a".repeat(9000)}\r\n\r\n`),
  "a chunk that is longer than it says": `POST / HTTP/1.1\r\n${line}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n`,
};

export const messageCases: readonly BehaviourCase[] = [
  ...Object.entries(AMBIGUOUS).map(
    ([name, request]): BehaviourCase => ({
      name: `${name}: 400 and closed`,
      resources,
      request,
      expect: { statuses: [400], head: /connection: close/, seen: null, failure: "bad_request" },
    }),
  ),
  {
    name: "pipelined requests are answered in order on one connection",
    resources,
    request: `GET /1 HTTP/1.1\r\n${line}\r\nGET /2 HTTP/1.1\r\n${line}\r\nGET /3 HTTP/1.1\r\n${line}Connection: close\r\n\r\n`,
    expect: {
      statuses: [200, 200, 200],
      body: /"path":"\/1"/,
      seen: (seen) => assert.equal(seen.path, "/3"),
    },
  },
  {
    name: "a sized body arrives whole, however it is cut",
    resources,
    request: [
      "POST / HTTP/1.1\r\nHo",
      `st: localhost\r\nContent-Length: 10\r\nConnection: close\r\n\r\n`,
      "hello",
      "world",
    ],
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.body, "helloworld") },
  },
  {
    name: "a chunked body arrives whole, cut inside its framing, with the trailers that may stand there",
    resources,
    request: [
      `POST / HTTP/1.1\r\n${line}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n5\r`,
      "\nhello\r\n5;x=y\r\nwor",
      "ld\r\n0\r\nX-Sum: 1\r\nX-Forwarded-Client-Cert: evil\r\n",
      "Content-Length: 3\r\nAuthorization: Basic eDp5\r\nCookie: a=b\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: b\r\nForwarded: for=b\r\nHost: b\r\n\r\n",
    ],
    expect: {
      statuses: [200],
      seen(seen) {
        assert.equal(seen.body, "helloworld");
        assert.deepEqual({ ...seen.trailers }, { "x-sum": "1" });
      },
    },
  },
  {
    name: "Expect: 100-continue is answered by the upstream's 100",
    resources,
    request: [
      `POST / HTTP/1.1\r\n${line}Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n`,
      "ok",
    ],
    expect: { statuses: [100, 200], seen: (seen) => assert.equal(seen.body, "ok") },
  },
  {
    name: "HEAD has the length and no body",
    resources,
    request: `HEAD / HTTP/1.1\r\n${line}Connection: close\r\n\r\n`,
    expect: { statuses: [200], body: /^$/, seen: (seen) => assert.equal(seen.method, "HEAD") },
  },
  {
    name: "an absolute-form with the same Host is taken",
    resources,
    request: `GET http://localhost/x HTTP/1.1\r\n${line}Connection: close\r\n\r\n`,
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.path, "/x") },
  },
  {
    name: "an absolute-form without a path means the root",
    resources,
    request: `GET http://localhost?x=1 HTTP/1.1\r\n${line}Connection: close\r\n\r\n`,
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.path, "/?x=1") },
  },
  {
    name: "what one request says of its body and its hop does not hold for the next",
    resources,
    request:
      `POST /1 HTTP/1.1\r\n${line}Transfer-Encoding: chunked\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n2\r\nab\r\n0\r\n\r\n` +
      `GET /2 HTTP/1.1\r\n${line}X-Hop: 2\r\nConnection: close\r\n\r\n`,
    expect: {
      statuses: [200, 200],
      seen({ path, headers, body }) {
        assert.deepEqual([path, headers["x-hop"], body], ["/2", "2", ""]);
        assert.equal(headers["transfer-encoding"], undefined);
      },
    },
  },
  {
    // RFC 9110 §10.1.4: who sends TE must say so; libwww-perl and `curl --tr-encoding` do.
    name: "a Connection that nominates TE is as it should be",
    resources,
    request: `GET / HTTP/1.1\r\n${line}TE: deflate,gzip;q=0.3\r\nConnection: TE, close\r\n\r\n`,
    expect: { statuses: [200], seen: ({ headers }) => assert.equal(headers.te, undefined) },
  },
  ...Object.entries({
    "of another protocol": "Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "that Connection does not name": "Upgrade: websocket\r\n",
    "of two protocols": "Connection: Upgrade\r\nUpgrade: websocket, other\r\n",
    "of two protocols, in two lines": "Connection: Upgrade\r\nUpgrade: other\r\nUpgrade: websocket\r\n",
    "with a body": "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
    "with a chunked body": "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
  }).map(
    ([name, fields]): BehaviourCase => ({
      name: `an upgrade ${name} is not passed on`,
      resources,
      request: `POST / HTTP/1.1\r\n${line}${fields}Connection: close\r\n\r\n${fields.includes("Length") ? "a" : fields.includes("chunked") ? "0\r\n\r\n" : ""}`,
      expect: {
        statuses: [200],
        seen: ({ headers }) => assert.equal(headers.upgrade, undefined),
      },
    }),
  ),
  {
    name: "an Expect that is not 100-continue: 417",
    resources,
    request: `POST / HTTP/1.1\r\n${line}Expect: 200-ok\r\nContent-Length: 2\r\n\r\nok`,
    expect: { statuses: [417], seen: null, failure: "expectation_failed" },
  },
  {
    name: "two Expects: 417, as the list that they are",
    resources,
    request: `POST / HTTP/1.1\r\n${line}Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok`,
    expect: { statuses: [417], seen: null, failure: "expectation_failed" },
  },
  ...["get", "PURGEALL", "A!#$%&'*+-.^_`|~z"].map(
    (method): BehaviourCase => ({
      name: `a method is any token: ${method}`,
      // A redirect, as Node's upstream knows no such methods.
      resources: () =>
        mappingYaml("m", { prefix: "/", method, service: "other.example", host_redirect: true }),
      request: `${method} / HTTP/1.1\r\n${line}Connection: close\r\n\r\n`,
      expect: { statuses: [301], seen: null },
    }),
  ),
  {
    name: "HTTP/1.0: 426",
    resources,
    request: `GET / HTTP/1.0\r\n${line}\r\n`,
    expect: { statuses: [426], seen: null },
  },
  {
    name: "CONNECT: 501",
    resources,
    request: `CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n`,
    expect: { statuses: [501], seen: null },
  },
  {
    name: "a head beyond the limit: 431",
    resources,
    request: `GET / HTTP/1.1\r\n${line}X-A: ${"a".repeat(70_000)}\r\n\r\n`,
    expect: { statuses: [431], seen: null, failure: "head_too_large" },
  },
  {
    name: "a head of more lines than the limit: 431",
    resources,
    request: `GET / HTTP/1.1\r\n${line}${"X-A: b\r\n".repeat(100)}\r\n`,
    expect: { statuses: [431], seen: null, failure: "head_too_large" },
  },
  {
    name: "a head just beyond the limit, in one piece: 431",
    resources,
    request: `GET / HTTP/1.1\r\n${line}X-A: ${"a".repeat(61_500)}\r\n\r\n`,
    expect: { statuses: [431], seen: null, failure: "head_too_large" },
  },
  {
    name: "a head that only bare LFs end: 400, at once",
    resources,
    request: "GET / HTTP/1.1\nHost: localhost\n\n",
    expect: { statuses: [400], seen: null, failure: "bad_request" },
  },
  {
    name: "a head that does not come: 408",
    resources,
    request: `GET / HTTP/1.1\r\n${line}`,
    expect: { statuses: [408], seen: null, failure: "request_timeout" },
  },
];
