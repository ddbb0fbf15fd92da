import assert from "node:assert/strict";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { HTTPAccessLogEntry } from "../../../../src/protobuf/generated/envoy/data/accesslog/v3/accesslog_pb.js";
import {
  AccessLogService,
  StreamAccessLogsResponseSchema,
} from "../../../../src/protobuf/generated/envoy/service/accesslog/v3/als_pb.js";
import {
  RateLimitResponse_Code as Code,
  type RateLimitRequest,
  RateLimitResponseSchema,
  RateLimitService,
} from "../../../../src/protobuf/generated/envoy/service/ratelimit/v3/rls_pb.js";
import { mappingYaml } from "../../../support/certificates.ts";
import { runOn } from "../../../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../../../support/gateway.ts";
import { startUpstream, type Upstream } from "../../../support/upstream.ts";

let gateway: RunningGateway;
let upstream: Upstream;
let collector: Upstream;
const grpc: { port: number; close(): void }[] = [];
const asked: RateLimitRequest[] = [];
const logged: HTTPAccessLogEntry[] = [];
const logNames: string[] = [];

const MODULE = `---\n${JSON.stringify({
  apiVersion: "getambassador.io/v2",
  kind: "Module",
  metadata: { name: "ambassador" },
  spec: { config: { default_labels: { ambassador: { defaults: [{ generic_key: "edge" }] } } } },
})}\n`;

function objectYaml(kind: string, spec: Record<string, unknown>): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind, metadata: { name: kind.toLowerCase() }, spec })}\n`;
}

async function serve(routes: (router: ConnectRouter) => void): Promise<number> {
  const server: Http2Server = createServer(connectNodeAdapter({ routes }));
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  grpc.push({
    port,
    close() {
      server.close();
      for (const session of sessions) session.destroy();
    },
  });
  return port;
}

before(async () => {
  upstream = await startUpstream("cleartext");
  collector = await startUpstream("cleartext");
  const limits = await serve((router) =>
    router.service(RateLimitService, {
      shouldRateLimit(request) {
        asked.push(request);
        const entries = request.descriptors.flatMap(({ entries }) => entries);
        const isOver = entries.some(({ value }) => value === "greedy");
        return create(RateLimitResponseSchema, { overallCode: isOver ? Code.OVER_LIMIT : Code.OK });
      },
    }),
  );
  const logs = await serve((router) =>
    router.service(AccessLogService, {
      async streamAccessLogs(messages) {
        for await (const { identifier, logEntries } of messages) {
          if (identifier !== undefined) logNames.push(identifier.logName);
          if (logEntries.case === "httpLogs") logged.push(...logEntries.value.logEntry);
        }
        return create(StreamAccessLogsResponseSchema);
      },
    }),
  );
  const labels = {
    ambassador: [
      { one: [{ generic_key: "shop" }, { who: { header: "x-who" } }] },
      { two: ["remote_address", { tenant: { header: "x-tenant", omit_if_not_present: true } }] },
      { three: ["nonsense"] },
    ],
    elsewhere: [{ none: [{ generic_key: "of-another-domain" }] }],
  };
  gateway = await runOn("envoy", () =>
    startGateway({
      "all.yaml":
        objectYaml("RateLimitService", { service: `localhost:${limits}`, timeout_ms: 2000 }) +
        objectYaml("LogService", {
          service: `localhost:${logs}`,
          driver: "http",
          driver_config: { additional_log_headers: [{ header_name: "X-Who", during_response: false }] },
        }) +
        objectYaml("TracingService", {
          service: `localhost:${collector.port}`,
          driver: "zipkin",
          tag_headers: ["x-who"],
        }) +
        // Beside them: labels that stand before all of the Mappings'.
        MODULE +
        mappingYaml("limited", { prefix: "/limited/", service: `localhost:${upstream.port}`, labels }) +
        mappingYaml("free", { prefix: "/free/", service: `localhost:${upstream.port}` }),
    }),
  );
});

after(async () => {
  await gateway?.stop();
  await Promise.all([upstream.close(), collector.close()]);
  for (const each of grpc) each.close();
});

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${gateway.httpPort}${path}`, { headers: { host: "localhost", ...headers } });

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 15_000; !condition(); ) {
    if (Date.now() > end) throw new Error("it does not come");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("the RateLimitService is asked with the labels of the route, and only by routes that have some", async () => {
  assert.equal((await get("/free/")).status, 200);
  assert.equal(asked.length, 0);
  assert.equal((await get("/limited/", { "x-who": "modest" })).status, 200);
  assert.equal(asked[0]?.domain, "ambassador");
  const entries = asked[0]?.descriptors.map((each) => each.entries.map(({ key, value }) => [key, value]));
  assert.deepEqual(entries, [
    [
      ["generic_key", "edge"],
      ["generic_key", "shop"],
      ["who", "modest"],
    ],
    [
      ["generic_key", "edge"],
      ["remote_address", "127.0.0.1"],
    ],
  ]);
  const before = upstream.seen.length;
  assert.equal((await get("/limited/", { "x-who": "greedy", "x-tenant": "t" })).status, 429);
  assert.equal(upstream.seen.length, before);
  assert.equal(asked.at(-1)?.descriptors[1]?.entries.length, 3);
  await get("/limited/");
  assert.equal(asked.at(-1)?.descriptors.length, 1, "without the header that limit does not count");
});

test("the LogService gets every request, with the headers that it asked for", async () => {
  await get("/free/logged", { "x-who": "me" });
  await until(() => logged.some(({ request }) => request?.path === "/logged"));
  const entry = logged.find(({ request }) => request?.path === "/logged");
  assert.equal(entry?.request?.requestHeaders["x-who"], "me");
  assert.equal(entry?.response?.responseCode?.valueOf(), 200);
  assert.equal(logNames[0], "logservice");
});

test("the TracingService gets spans, and upstreams the context", async () => {
  await get("/free/traced", { "x-who": "me" });
  const headers = upstream.seen.find(({ path }) => path.endsWith("traced"))?.headers;
  assert.match(String(headers?.["x-b3-traceid"]), /^[0-9a-f]{32}$/);
  await until(() => collector.seen.some(({ body }) => body.includes(String(headers?.["x-b3-traceid"]))));
  const posted = collector.seen.find(({ body }) => body.includes(String(headers?.["x-b3-traceid"])));
  assert.equal(posted?.path, "/api/v2/spans");
  assert.equal(posted?.headers.host, `localhost:${collector.port}`);
  assert.match(posted?.body ?? "", /"x-who":"me"/);
});
