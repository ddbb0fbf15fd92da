import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { after, before, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import type { FailureRecord } from "../../../../src/diagnostics/failure.ts";
import { failureRoute } from "../../../../src/engines/envoy/direct-response.ts";
import { failureStream } from "../../../../src/engines/envoy/failure-stream.ts";
import { type Listening, listen } from "../../../../src/engines/envoy/ads/transport.ts";
import { translateListeners } from "../../../../src/engines/envoy/listeners.ts";
import { OWN_CLUSTER } from "../../../../src/engines/envoy/process/bootstrap.ts";
import type { JsonObject } from "../../../../src/engines/envoy/process/json.ts";
import type { GatewayModel } from "../../../../src/model/gateway.ts";
import { type Authority, createAuthority } from "../../../../src/x509/authority.ts";
import { systemClock } from "../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { freePort } from "../../../support/free-port.ts";
import { exchangeBytes, parseAnswers } from "../../../support/raw-client.ts";
import { answering, HTTP, type StaticEnvoy, startStaticEnvoy } from "../../../support/static-envoy.ts";
import { until } from "../../../support/until.ts";

const failures: FailureRecord[] = [];
let envoy: StaticEnvoy;
let listening: Listening;
let ports: { http: number; tcp: number };
const servers: Server[] = [];

before(async () => {
  const ca = await createAuthority("upstream CA");
  listening = await listen(
    { address: "127.0.0.1", port: 0 },
    failureStream(
      () => ({ group: "test", identity: "test" }),
      () => ({ failure: (failure) => failures.push(failure), handshake: () => {} }),
    ),
    createLogger("silent"),
    systemClock,
  );
  const clusters = [
    cluster("refused", await freePort()),
    cluster("silent", await serve(() => {})),
    cluster("resets", await serve((socket) => socket.once("data", () => socket.destroy()))),
    cluster("garbage", await serve((socket) => socket.once("data", () => socket.end("what?\r\n\r\n")))),
    cluster("untrusted", await serveTls(await createAuthority("stranger"), {}), tls(ca)),
    cluster("misnamed", await serveTls(ca, { dnsNames: ["other.example"] }), tls(ca)),
    cluster("expired", await serveTls(ca, { notAfter: new Date(Date.now() - 60_000) }), tls(ca)),
    cluster("mutual", await serveTls(ca, {}, true), tls(ca)),
    cluster(
      "not-tls",
      await serve((socket) => socket.once("data", () => socket.end("HTTP/1.1 400 no\r\n\r\n"))),
      tls(ca),
    ),
    {
      ...cluster(OWN_CLUSTER, listening.port as number),
      typed_extension_protocol_options: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          explicit_http_config: { http2_protocol_options: {} },
        },
      },
    },
  ];
  ports = { http: await freePort(), tcp: await freePort() };
  const model: GatewayModel = {
    http: {
      ...HTTP,
      maxBodyBytes: 10,
      addresses: { action: "deny", ranges: [{ of: "remote", address: "192.0.2.1", prefixLength: 32 }] },
      useRemoteAddress: false,
    },
    listeners: [
      { name: "http", address: "127.0.0.1", port: ports.http, transport: "cleartext", action: "serve" },
    ],
    tcpListeners: [
      {
        name: "tcp",
        address: "127.0.0.1",
        port: ports.tcp,
        chains: [
          {
            serverName: null,
            tls: { mode: "cleartext" },
            destinations: [
              { name: "tcpmapping/default/t", weight: 100, action: { kind: "forward", cluster: "refused" } },
            ],
          },
        ],
      },
    ],
    virtualHosts: [],
    routes: [],
    clusters: [],
  };
  const context = { generations: new Map(), ports: new Map(), ownCluster: OWN_CLUSTER };
  const closed = failureRoute({
    reason: "route_fails_closed",
    code: "tls-context-missing",
  });
  const routes = [
    { name: "mapping/default/closed", match: prefix("/closed"), ...closed },
    ...clusters.map(({ name }) => ({
      name: `mapping/default/${name}`,
      match: prefix(`/${name}`),
      action: {
        case: "route",
        value: {
          clusterSpecifier: { case: "cluster", value: name },
          // Upstreams are in this process, which may be held up: only who never answers is given up soon.
          timeout: name === "silent" ? { seconds: 0n, nanos: 500_000_000 } : { seconds: 30n },
        },
      },
    })),
  ];
  envoy = await startStaticEnvoy(
    [
      ...translateListeners(model, context),
      answering("http", [{ name: "all", domains: ["*"], routes }] as never),
    ],
    { ports: [ports.http], clusters },
  );
});
after(async () => {
  await envoy?.stop();
  await listening?.close();
  for (const server of servers) server.close();
});

for (const [path, status, reason, cause] of [
  ["/closed", 503, "route_fails_closed", /^tls-context-missing$/],
  ["/nowhere", 404, "no_route", /route_not_found/],
  ["/refused", 503, "upstream_connect_refused", /Connection refused|111/],
  ["/silent", 504, "upstream_response_timeout", /timeout/],
  ["/resets", 503, "upstream_reset", /./],
  ["/garbage", 502, "upstream_invalid_response", /protocol_error/],
  ["/untrusted", 503, "upstream_certificate_untrusted", /CERTIFICATE_VERIFY_FAILED/],
  ["/misnamed", 503, "upstream_certificate_name_mismatch", /./],
  ["/expired", 503, "upstream_certificate_expired", /expired/],
  // In TLS 1.3 the upstream's alert comes after the handshake, and Envoy keeps nothing of it.
  ["/mutual", 503, "upstream_reset", /connection_termination/],
  ["/not-tls", 503, "upstream_tls_handshake_failed", /./],
] as const) {
  test(`${path}: ${status}, ${reason}`, async () => {
    const { status: seen, body } = await ask(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`);
    assert.equal(seen, status);
    const { id, ...rest } = JSON.parse(body) as { id: string; status: number; message: string };
    assert.deepEqual(Object.keys(rest), ["status", "message"]);
    const record = await recordOf((each) => each.id === id);
    assert.equal(record.reason, reason, record.cause);
    assert.match(record.cause, cause);
    assert.equal(record.route, path === "/nowhere" ? null : `mapping/default${path}`);
    assert.match(record.time, /^\d{4}-\d\d-\d\dT/);
  });
}

for (const [name, request, status, reason] of [
  ["a malformed Host", "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n", 400, "bad_request"],
  ["an unknown Expect", "GET / HTTP/1.1\r\nhost: a\r\nexpect: x\r\n\r\n", 417, "expectation_failed"],
  ["HTTP/1.0", "GET / HTTP/1.0\r\nhost: a\r\n\r\n", 426, "http10_refused"],
  ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", 501, "method_not_supported"],
  ["a large head", `GET / HTTP/1.1\r\nhost: a\r\nx: ${"a".repeat(70_000)}\r\n\r\n`, 431, "head_too_large"],
  ["no head at all", "what?\r\n\r\n", 400, "bad_request"],
  [
    "a large body",
    `POST /refused HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n12345678901`,
    413,
    "body_too_large",
  ],
  [
    "a refused address",
    "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.1\r\n\r\n",
    403,
    "address_refused",
  ],
] as const) {
  test(`${name}: ${status}, ${reason}`, async () => {
    const { status: seen, body } = await ask(request);
    assert.equal(seen, status);
    const { id } = JSON.parse(body) as { id: string };
    assert.equal((await recordOf((each) => each.id === id)).reason, reason);
  });
}

test("a TCP connection that came to nothing names its TCPMapping", async () => {
  assert.equal(await exchangeBytes(ports.tcp, "x"), "");
  const record = await recordOf(({ route }) => route === "tcpmapping/default/t");
  assert.equal(record.reason, "upstream_connect_refused", record.cause);
});

async function ask(request: string): Promise<{ status: number; body: string }> {
  const text = await exchangeBytes(ports.http, request, { until: /\}\n$/ });
  const [answer] = parseAnswers(text);
  assert.ok(answer, text);
  return answer;
}

async function recordOf(wanted: (record: FailureRecord) => boolean): Promise<FailureRecord> {
  await until(
    () => failures.some(wanted),
    20_000,
    () => `one among ${JSON.stringify(failures)}`,
  );
  return failures.find(wanted) as FailureRecord;
}

function prefix(value: string) {
  return { pathSpecifier: { case: "prefix", value } };
}

function cluster(name: string, port: number, transport_socket?: JsonObject) {
  const endpoint = { address: { socket_address: { address: "127.0.0.1", port_value: port } } };
  return {
    name,
    type: "STATIC",
    connect_timeout: "30s",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
    ...(transport_socket === undefined ? {} : { transport_socket }),
  };
}

function tls(ca: Authority): JsonObject {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
      sni: "up.example",
      common_tls_context: {
        tls_params: { tls_maximum_protocol_version: "TLSv1_3" },
        validation_context: {
          trusted_ca: { inline_string: ca.certificate },
          match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: "up.example" } }],
        },
      },
    },
  };
}

async function serve(onSocket: (socket: import("node:net").Socket) => void): Promise<number> {
  return opened(createServer((socket) => onSocket(socket.on("error", () => {}))));
}

async function serveTls(
  authority: Authority,
  options: { dnsNames?: string[]; notAfter?: Date },
  requestCert = false,
): Promise<number> {
  const issued = await authority.issue({
    commonName: "up",
    dnsNames: ["up.example"],
    usage: "server",
    notBefore: new Date(Date.now() - 3_600_000),
    ...options,
  });
  const { certificate: cert, privateKey: key } = issued;
  const server = createTlsServer({
    cert,
    key,
    ca: authority.certificate,
    requestCert,
    rejectUnauthorized: requestCert,
  });
  server.on("tlsClientError", () => {});
  server.on("secureConnection", (socket) => socket.on("error", () => {}));
  return opened(server);
}

async function opened(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
