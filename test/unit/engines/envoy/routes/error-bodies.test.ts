import assert from "node:assert/strict";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { after, before, test } from "node:test";
import { create, toJson } from "@bufbuild/protobuf";
import { errorBodyFilters } from "../../../../../src/engines/envoy/error-bodies.ts";
import { localReplies } from "../../../../../src/engines/envoy/local-replies.ts";
import { routeScopes } from "../../../../../src/engines/envoy/route-scopes.ts";
import { virtualHosts } from "../../../../../src/engines/envoy/virtual-hosts.ts";
import { ErrorBodies } from "../../../../../src/engines/node/error-bodies.ts";
import { RequestHead } from "../../../../../src/engines/node/http1/request-head.ts";
import type { GatewayModel } from "../../../../../src/model/gateway.ts";
import type { ErrorResponse, Route } from "../../../../../src/model/route.ts";
import { packedTypes } from "../../../../../src/protobuf/any.ts";
import {
  HttpFilterSchema,
  LocalReplyConfigSchema,
} from "../../../../../src/protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { type RunningEnvoy, startEnvoyWithRoutes } from "../../../../support/envoy-routes.ts";
import { startUpstream, type Upstream } from "../../../../support/upstream.ts";
import { headBytes } from "./other-engine.ts";

const BODY =
  'é "%REQ(X-A)%" 100%% %REQ(NONE?X-B):3% %PROTOCOL% %RESPONSE_CODE% %UNKNOWN% %REQ(:METHOD)% \\ \n';
const RESPONSES: readonly ErrorResponse[] = [
  { status: 404, contentType: "text/plain", body: `plain ${BODY}` },
  { status: 404, contentType: "text/plain", body: "never" },
  { status: 410, contentType: "text/html; charset=utf-8", body: `<p>${BODY}` },
  { status: 500, contentType: "application/json", body: `{"a":"${BODY}"}`, json: true },
  { status: 502, contentType: "text/plain", body: "" },
  { status: 503, contentType: "text/plain", body: "closed: %RESP(CONTENT-TYPE)% %REQ(:PATH)%" },
];

const forward = (path: string, more: Partial<Route> = {}): Route => ({
  name: `mapping/d/${path.slice(1, -1)}`,
  match: { path: { kind: "prefix", value: path } },
  destinations: [
    {
      name: `mapping/d/${path.slice(1, -1)}`,
      weight: 1,
      action: { kind: "forward", cluster: "up", timeoutMs: 3000 },
    },
  ],
  ...more,
});

const MODEL: GatewayModel = {
  http: {
    useRemoteAddress: true,
    xffTrustedHops: 0,
    mergeSlashes: false,
    rejectEscapedSlashes: false,
    preserveRequestId: false,
    stripMatchingHostPort: false,
    serverName: "credence",
    errorResponses: [{ status: 404, contentType: "text/plain", body: "nobody's" }],
  },
  listeners: [{ name: "http", address: "127.0.0.1", port: 8080, transport: "cleartext", action: "serve" }],
  virtualHosts: [{ domain: "*", origin: "gateway", tls: { mode: "cleartext" }, cleartext: "route" }],
  routes: [
    forward("/own/", { errorResponses: RESPONSES }),
    forward("/closed/", {
      errorResponses: RESPONSES,
      destinations: [{ name: "mapping/d/closed", weight: 1, action: { kind: "fail", code: "x" } }],
    }),
    forward("/none/"),
  ],
  clusters: [],
};

let upstream: Upstream;
let envoy: RunningEnvoy;

before(async () => {
  upstream = await startUpstream("cleartext", ({ url = "" }, response) => {
    const body = url.includes("large") ? "x".repeat(3_000_000) : "the upstream's own words";
    const sent = url.includes("empty") ? "" : body;
    response.writeHead(Number(url.slice(-3)), {
      "content-type": "x/y",
      "content-language": "de",
      etag: '"1"',
      "x-kept": "1",
      ...(url.includes("chunked") ? {} : { "content-length": sent.length }),
    });
    response.end(sent);
  });
  const [scope] = routeScopes(MODEL);
  assert(scope !== undefined);
  const filters = errorBodyFilters(MODEL).map((filter) =>
    toJson(HttpFilterSchema, create(HttpFilterSchema, filter), {
      registry: packedTypes(),
      useProtoFieldName: true,
    }),
  );
  const replies = toJson(LocalReplyConfigSchema, create(LocalReplyConfigSchema, localReplies()), {
    registry: packedTypes(),
    useProtoFieldName: true,
  });
  envoy = await startEnvoyWithRoutes(
    [
      {
        virtualHosts: virtualHosts(scope, MODEL, null).map(({ message }) => message),
        filters,
        manager: { local_reply_config: replies },
      },
    ],
    { up: upstream.port },
  );
});

after(async () => {
  await envoy?.stop();
  await upstream?.close();
});

const HEADERS = { "x-a": "<\"'&\\\té>", "x-b": "abcdef" };

for (const status of [404, 410, 500, 502]) {
  for (const path of ["", "chunked/", "empty/", "empty/chunked/"].map((kind) => `/own/${kind}${status}`))
    test(`${path}: the body is what the node engine makes of it`, async () => {
      const answer = await ask(path, HEADERS);
      const expected = bodyOf(path, status);
      assert.equal(answer.status, status);
      assert.equal(answer.body.toString("latin1"), expected?.text);
      assert.equal(answer.headers["content-type"], expected?.contentType);
      assert.equal(answer.headers["content-length"], String(expected?.text.length));
      assert.equal(answer.headers["x-kept"], "1");
      assert.equal(answer.headers.etag, undefined);
      assert.equal(answer.headers["content-language"], undefined);
    });
}

test("what the gateway says itself is replaced, too", async () => {
  const answer = await ask("/closed/x", {});
  assert.equal(answer.status, 503);
  assert.equal(answer.body.toString(), "closed: - /closed/x");
  assert.match(String(answer.headers["x-credence-failure-id"]), /^[0-9a-f-]{36}$/);
});

test("HEAD gets the head alone", async () => {
  const answer = await ask("/own/503", {}, "HEAD");
  assert.equal(answer.body.length, 0);
  assert.equal(answer.headers["content-length"], (await ask("/own/503")).headers["content-length"]);
  assert.equal(answer.headers["content-type"], "text/plain");
});

test("a body larger than Envoy holds back is replaced as it comes, of known length or not", async () => {
  for (const path of ["/own/large/404", "/own/large/chunked/404"]) {
    const { status, body, headers } = await ask(path);
    assert.equal(status, 404);
    assert.match(body.toString(), /^plain /);
    assert.equal(headers["content-length"], String(body.length));
  }
});

test("other statuses, and routes without responses of their own, stay as they are", async () => {
  assert.equal((await ask("/own/200")).body.toString(), "the upstream's own words");
  assert.equal((await ask("/own/400")).body.toString(), "the upstream's own words");
  assert.equal((await ask("/none/404")).body.toString(), "the upstream's own words");
});

test("where no route is found, the Module's words are said", async () => {
  const { body, headers } = await ask("/elsewhere");
  assert.equal(body.toString(), "nobody's");
  assert.match(String(headers["x-credence-failure-id"]), /^[0-9a-f-]{36}$/);
});

function bodyOf(path: string, status: number): ReturnType<ErrorBodies["find"]> {
  const head = new RequestHead(100);
  const bytes = headBytes({ method: "GET", target: path, host: "h", headers: Object.entries(HEADERS) });
  assert.equal(head.parse(bytes, 0, bytes.length - 2), null);
  return new ErrorBodies(RESPONSES, head).find(status, null);
}

function ask(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
  return new Promise((resolve, reject) => {
    httpRequest({ host: "127.0.0.1", port: envoy.ports[0], path, headers, method }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
        }),
      );
    })
      .on("error", reject)
      .end();
  });
}
