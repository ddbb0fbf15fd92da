import assert from "node:assert/strict";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { after, before, test } from "node:test";
import { routeScopes } from "../../../../../src/engines/envoy/route-scopes.ts";
import { virtualHosts } from "../../../../../src/engines/envoy/virtual-hosts.ts";
import type { GatewayModel } from "../../../../../src/model/gateway.ts";
import type { ForwardAction, Route } from "../../../../../src/model/route.ts";
import { type RunningEnvoy, startEnvoyWithRoutes } from "../../../../support/envoy-routes.ts";
import { exchangeBytes } from "../../../../support/raw-client.ts";
import { eventually } from "../../../../support/tcp.ts";
import { startUpstream, type Upstream } from "../../../../support/upstream.ts";

const FORWARD: ForwardAction = { kind: "forward", cluster: "up", timeoutMs: 3000 };

function route(path: string, action: ForwardAction, more: Partial<Route> = {}): Route {
  const name = `mapping/d${path.replaceAll("/", "-")}`;
  return {
    name,
    match: { path: { kind: "prefix", value: path } },
    destinations: [{ name, weight: 100, action }],
    ...more,
  };
}

const share = (name: string, weight: number) => ({ name: `mapping/d/${name}`, weight, action: FORWARD });

const ROUTES: readonly Route[] = [
  route("/weights/", FORWARD, {
    destinations: [share("a", 20), share("never", 0), share("b", 30), share("c", 50)],
  }),
  route("/headers/", {
    ...FORWARD,
    hostRewrite: "other.example",
    requestHeaders: {
      remove: ["x-gone", "host"],
      add: [
        { name: "x-add", value: "100%% of %PROTOCOL% is %FOO% 5%", append: true },
        { name: "x-set", value: "", append: false },
        { name: "content-length", value: "7", append: false },
      ],
    },
    responseHeaders: {
      remove: ["content-type"],
      add: [{ name: "x-back", value: "%START_TIME%", append: false }],
    },
  }),
  route("/cors/", FORWARD, {
    cors: {
      origins: ["https://a.example"],
      methods: "GET, PUT",
      headers: "x-a",
      exposedHeaders: "x-b",
      credentials: true,
      maxAgeSeconds: 60,
    },
  }),
  route(
    "/mirror/",
    { ...FORWARD, requestHeaders: { add: [{ name: "l5d-dst-override", value: "main:80", append: false }] } },
    {
      mirror: {
        name: "mapping/d/mirror",
        percent: 100,
        action: {
          ...FORWARD,
          cluster: "shadow",
          requestHeaders: { add: [{ name: "l5d-dst-override", value: "shadow:80", append: false }] },
        },
      },
    },
  ),
  route("/slow/", { ...FORWARD, timeoutMs: 200 }),
  route("/idle/", { ...FORWARD, timeoutMs: 0, idleTimeoutMs: 200 }),
  route("/retry/", { ...FORWARD, retry: { on: "5xx", retries: 2, perTryTimeoutMs: 1000 }, priority: "high" }),
  route("/cookie/", { ...FORWARD, hash: { kind: "cookie", name: "stay", path: "/c", ttlSeconds: 0 } }),
  route("/kept/", { ...FORWARD, hash: { kind: "cookie", name: "stay", ttlSeconds: 90 } }),
  route("/upgrades/", { ...FORWARD, timeoutMs: 300 }, { upgrades: ["websocket"] }),
  route("/matched/", FORWARD, {
    match: {
      path: { kind: "prefix", value: "/plain/" },
      headers: [{ name: "x-a", kind: "exact", value: "1" }],
    },
  }),
  route("/plain/", FORWARD),
];

const MODEL: GatewayModel = {
  http: {
    useRemoteAddress: true,
    xffTrustedHops: 0,
    mergeSlashes: false,
    rejectEscapedSlashes: false,
    preserveRequestId: false,
    stripMatchingHostPort: false,
    serverName: "credence",
  },
  listeners: [{ name: "http", address: "127.0.0.1", port: 8080, transport: "cleartext", action: "serve" }],
  virtualHosts: [{ domain: "*", origin: "gateway", tls: { mode: "cleartext" }, cleartext: "route" }],
  routes: ROUTES,
  clusters: [],
};

let upstream: Upstream;
let shadow: Upstream;
let envoy: RunningEnvoy;
let tries = 0;

before(async () => {
  shadow = await startUpstream("cleartext");
  upstream = await startUpstream("cleartext", (request, response) => {
    if (request.url?.startsWith("/slow/") || request.url?.startsWith("/idle/")) return;
    if (request.url?.startsWith("/retry/") && tries++ < 2) {
      response.writeHead(500).end();
      return;
    }
    response.setHeader("content-type", "text/plain").end("ok");
  });
  const [scope] = routeScopes(MODEL);
  assert(scope !== undefined);
  envoy = await startEnvoyWithRoutes(
    [{ virtualHosts: virtualHosts(scope, MODEL, null).map(({ message }) => message) }],
    { up: upstream.port, shadow: shadow.port },
  );
});

after(async () => {
  await envoy?.stop();
  await Promise.all([upstream?.close(), shadow?.close()]);
});

test("one draw decides among all destinations, by their weights", async () => {
  const counts = new Map<string, number>();
  for (let index = 0; index < 1000; index++) {
    const { headers } = await ask("/weights/");
    const name = String(headers["x-route"]);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort(), ["mapping/d/a", "mapping/d/b", "mapping/d/c"]);
  // Five standard deviations of a thousand draws are below 80.
  for (const [name, expected] of [
    ["a", 200],
    ["b", 300],
    ["c", 500],
  ] as const) {
    const count = counts.get(`mapping/d/${name}`) ?? 0;
    assert(Math.abs(count - expected) < 80, `${name}: ${count}`);
  }
});

test("headers are removed, added and filled in; framing is left alone", async () => {
  const { headers } = await ask("/headers/", { "x-gone": "1", "x-add": "0", "x-set": "1" });
  const seen = upstream.seen.at(-1)?.headers;
  assert.equal(seen?.host, "other.example");
  assert.equal(seen?.["x-gone"], undefined);
  assert.equal(seen?.["x-add"], "0, 100% of HTTP/1.1 is %FOO% 5%");
  assert.equal(seen?.["x-set"], "");
  assert.notEqual(seen?.["content-length"], "7");
  assert.equal(headers["content-type"], undefined);
  assert.match(String(headers["x-back"]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test("a header on several lines is one value", async () => {
  const taken = async (lines: string): Promise<string | undefined> => {
    const text = `GET /plain/ HTTP/1.1\r\nhost: a\r\n${lines}connection: close\r\n\r\n`;
    return /x-route: (.*)\r\n/.exec(await exchangeBytes(envoy.ports[0] as number, text))?.[1];
  };
  assert.equal(await taken("x-a: 1\r\n"), "mapping/d-matched-");
  assert.equal(await taken("x-a: 1\r\nx-a: 2\r\n"), "mapping/d-plain-");
  assert.equal(await taken("x-a: 2\r\nx-a: 1\r\n"), "mapping/d-plain-");
});

test("CORS: preflights of allowed origins are answered, others go on", async () => {
  const preflight = { "access-control-request-method": "PUT" };
  const allowed = await ask("/cors/", { origin: "https://a.example", ...preflight }, "OPTIONS");
  assert.equal(allowed.status, 200);
  assert.equal(allowed.headers["access-control-allow-origin"], "https://a.example");
  assert.equal(allowed.headers["access-control-allow-methods"], "GET, PUT");
  assert.equal(allowed.headers["access-control-allow-headers"], "x-a");
  assert.equal(allowed.headers["access-control-max-age"], "60");
  assert.equal(allowed.headers["access-control-allow-credentials"], "true");
  assert.equal(allowed.body, "");
  const actual = await ask("/cors/", { origin: "https://a.example" });
  assert.equal(actual.body, "ok");
  assert.equal(actual.headers["access-control-expose-headers"], "x-b");
  assert.equal(actual.headers.vary, "Origin");
  const other = await ask("/cors/", { origin: "https://b.example", ...preflight }, "OPTIONS");
  assert.equal(other.body, "ok");
  assert.equal(other.headers["access-control-allow-origin"], undefined);
});

test("a mirror gets copies that say what they are, and are routed by their own header", async () => {
  await ask("/mirror/x");
  await eventually(() => shadow.seen.length > 0, "a copy");
  assert.equal(upstream.seen.at(-1)?.headers["l5d-dst-override"], "main:80");
  assert.equal(shadow.seen[0]?.headers["l5d-dst-override"], "shadow:80");
  assert.match(String(shadow.seen[0]?.headers.host), /^127\.0\.0\.1-shadow(?::\d+)?$/);
});

test("times: of the whole response, of silence", async () => {
  assert.equal((await ask("/slow/")).status, 504);
  assert.equal((await ask("/idle/")).status, 504);
});

test("retries go as far as they may", async () => {
  tries = 0;
  assert.equal((await ask("/retry/")).status, 200);
  assert.equal(tries, 3);
});

test("a cookie is made where it is missing, for as long as is said", async () => {
  const session = String((await ask("/cookie/")).headers["set-cookie"]);
  assert.match(session, /^stay="[0-9a-f]+"; Path=\/c; HttpOnly$/);
  assert.match(
    String((await ask("/kept/")).headers["set-cookie"]),
    /^stay="[0-9a-f]+"; Max-Age=90; HttpOnly$/,
  );
  assert.equal((await ask("/cookie/", { cookie: "stay=1" })).headers["set-cookie"], undefined);
});

test("upgrades are passed on where the route says so, and refused elsewhere", async () => {
  const wanted = (path: string) =>
    `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`;
  const [port] = envoy.ports;
  const until = { until: /\r\n\r\n/ };
  await exchangeBytes(port as number, wanted("/upgrades/"), until);
  assert.equal(upstream.seen.at(-1)?.path, "/upgrades/");
  assert.equal(upstream.seen.at(-1)?.headers.upgrade, "websocket");
  assert.match(await exchangeBytes(port as number, wanted("/plain/"), until), /^HTTP\/1.1 403 /);
});

function ask(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    httpRequest(
      { host: "127.0.0.1", port: envoy.ports[0], path, headers: { ...headers }, method },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      },
    )
      .on("error", reject)
      .end();
  });
}
