import assert from "node:assert/strict";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  certificates,
  mappingYaml,
  moduleYaml,
  secretYaml,
  tlsContextYaml,
} from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { binaryProxyHeader, ipv4Addresses, LOCAL, PROXY, proxyLine, TCP4 } from "../support/proxy-header.ts";
import { parseAnswers } from "../support/raw-client.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";
import { after, before, it } from "./engines.ts";

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const FROM_TEST_NET = binaryProxyHeader(PROXY, TCP4, ipv4Addresses("192.0.2.1"));

let upstream: Upstream;
before(async () => {
  upstream = await startUpstream("cleartext");
});
after(() => upstream.close());

async function withGateway(
  run: (gateway: RunningGateway) => Promise<void>,
  config: Record<string, unknown> = {},
  more: Record<string, string> = {},
  handshakeTimeoutMs = 10_000,
): Promise<void> {
  const gateway = await startGateway(
    {
      "mapping.yaml": mappingYaml("m", { prefix: "/", service: `127.0.0.1:${upstream.port}` }),
      "module.yaml": moduleYaml({ use_proxy_proto: true, ...config }),
      ...more,
    },
    { limits: { handshakeTimeoutMs } },
  );
  upstream.seen.length = 0;
  try {
    await run(gateway);
  } finally {
    await gateway.stop();
  }
}

/** Everything that comes back until the connection is closed. */
function send(port: number, pieces: readonly (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(received));
    socket.on("connect", async () => {
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((done) => setTimeout(done, 2));
      }
    });
  });
}

for (const [version, header, client] of [
  ["1", proxyLine("192.0.2.1"), "192.0.2.1"],
  ["1, IPv6", proxyLine("2001:DB8::1"), "2001:db8::1"],
  ["2", FROM_TEST_NET, "192.0.2.1"],
  ["1, UNKNOWN", "PROXY UNKNOWN\r\n", "127.0.0.1"],
  ["2, LOCAL", binaryProxyHeader(LOCAL, 0), "127.0.0.1"],
] as const) {
  it(`version ${version}: ${client} is the connection's address`, () =>
    withGateway(async (gateway) => {
      const whole = Buffer.concat([Buffer.from(header), Buffer.from(GET)]);
      assert.equal(parseAnswers(await send(gateway.httpPort, [whole]))[0]?.status, 200);
      assert.equal(upstream.seen.at(-1)?.headers["x-forwarded-for"], client);
      const bytes = [...whole.subarray(0, header.length + 3)].map((byte) => Buffer.from([byte]));
      const rest = whole.subarray(header.length + 3);
      assert.equal(
        parseAnswers(await send(gateway.httpPort, [...bytes, rest]))[0]?.status,
        200,
        "byte by byte",
      );
      assert.equal(upstream.seen.at(-1)?.headers["x-forwarded-for"], client);
    }));
}

it("a connection without a valid header, or without the whole of it in time, is closed unanswered", () =>
  withGateway(
    async (gateway) => {
      for (const start of [GET, "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2", "\r\n\r\n"])
        assert.equal(await send(gateway.httpPort, [start]), "", JSON.stringify(start));
      assert.equal(upstream.seen.length, 0);
      const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
      assert.match(metrics, /^credence_proxy_protocol_refused_total 4$/m);
    },
    {},
    {},
    300,
  ));

it("the header counts once: a second one is no request", () =>
  withGateway(async (gateway) => {
    const twice = proxyLine("192.0.2.1") + proxyLine("192.0.2.9") + GET;
    assert.equal(parseAnswers(await send(gateway.httpPort, [twice]))[0]?.status, 400);
  }));

it("ip_allow asks for the address that the header tells", () =>
  withGateway(
    async (gateway) => {
      const status = async (source: string): Promise<number | undefined> =>
        parseAnswers(await send(gateway.httpPort, [proxyLine(source) + GET]))[0]?.status;
      assert.equal(await status("192.0.2.7"), 200);
      assert.equal(await status("198.51.100.7"), 403);
      assert.equal(await status("::ffff:192.0.2.7"), 200, "IPv4 inside of IPv6 is IPv4");
    },
    { ip_allow: [{ peer: "192.0.2.0/24" }] },
  ));

it("the header stands before TLS, also where the ClientHello must be read ahead", async () => {
  const { server, ca } = await certificates();
  const context = (name: string, host: string, more: Record<string, unknown>): string =>
    tlsContextYaml(name, { hosts: [host], secret: "server", ...more });
  const secret = secretYaml("server", server) + secretYaml("ca", { ca: ca.certificate });
  const hosts = [
    context("one", "localhost", {}),
    // Another policy, so that no server can serve both names at once.
    context("one", "localhost", {}) + context("two", "two.example", { ca_secret: "ca" }),
  ];
  for (const contexts of hosts) {
    await withGateway(
      async (gateway) => {
        const socket = connect(gateway.httpsPort, "127.0.0.1");
        socket.write(FROM_TEST_NET);
        const secure = connectTls({ socket, servername: "localhost", ca: ca.certificate });
        secure.write(GET);
        let received = "";
        for await (const chunk of secure) received += (chunk as Buffer).toString("latin1");
        assert.equal(parseAnswers(received)[0]?.status, 200);
        assert.equal(upstream.seen.at(-1)?.headers["x-forwarded-for"], "192.0.2.1");
      },
      {},
      { "tls.yaml": contexts + secret },
    );
  }
});

it("switched on and off without opening the ports anew", () =>
  withGateway(
    async (gateway) => {
      const port = gateway.httpPort;
      assert.equal(parseAnswers(await send(port, [GET]))[0]?.status, 200);
      assert.equal(parseAnswers(await send(port, [proxyLine("192.0.2.1") + GET]))[0]?.status, 400);
      await gateway.replace("module.yaml", moduleYaml({ use_proxy_proto: true }));
      assert.equal(gateway.httpPort, port);
      assert.equal(await send(port, [GET]), "");
      assert.equal(parseAnswers(await send(port, [proxyLine("192.0.2.1") + GET]))[0]?.status, 200);
    },
    { use_proxy_proto: false },
  ));
