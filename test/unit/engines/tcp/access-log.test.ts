import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CredentialStore } from "../../../../src/credentials/store.ts";
import { createNodeEngine, type NodeEngine } from "../../../../src/engines/node/engine.ts";
import type { TcpChain } from "../../../../src/model/tcp.ts";
import type { AccessLogEntry } from "../../../../src/telemetry/access-log.ts";
import { systemClock } from "../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { certificates } from "../../../support/certificates.ts";
import { freePort } from "../../../support/free-port.ts";
import { binaryProxyHeader, ipv4Addresses, PROXY, proxyLine, TCP4 } from "../../../support/proxy-header.ts";
import {
  type ByteServer,
  converse,
  converseOn,
  echoing,
  eventually,
  startByteServer,
} from "../../../support/tcp.ts";

const CLUSTER = "echo tcp";
const PARAMETERS = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
  carries: "bytes",
} as const;

let echo: ByteServer;
before(async () => {
  echo = await startByteServer("mtls", echoing("echo"));
});
after(() => echo.close());

/** A chain to the echo. */
function chain(serverName: string | null, tls: TcpChain["tls"]): TcpChain {
  const action = { kind: "forward", cluster: CLUSTER } as const;
  return { serverName, tls, destinations: [{ name: "tcpmapping/default/m", weight: 1, action }] };
}

/** An engine with one TCP listener, and what it writes to the access log. */
async function withEngine(
  chains: readonly TcpChain[],
  run: (port: number, lines: AccessLogEntry[], engine: NodeEngine) => Promise<void>,
  options: { proxyProtocol?: true } = {},
): Promise<void> {
  const store = new CredentialStore(systemClock);
  const { ca, client, server } = await certificates();
  const origin = { subject: { kind: "Secret", namespace: "default", name: "test" } };
  store.offer("client", { certificateChain: client.certificate, privateKey: client.privateKey }, origin);
  store.offer("server", { certificateChain: server.certificate, privateKey: server.privateKey }, origin);
  store.offer("ca", { trustAnchors: ca.certificate }, origin);
  const lines: AccessLogEntry[] = [];
  const engine = createNodeEngine({
    credentials: store,
    endpoints: { resolve: () => [{ address: "127.0.0.1", port: echo.port }] },
    logger: createLogger("silent"),
    clock: systemClock,
    accessLog: (line) => lines.push(line),
    onFailure: () => {},
  });
  const port = await freePort();
  const report = await engine.apply({
    number: 7,
    hash: "",
    model: {
      http: {
        useRemoteAddress: true,
        xffTrustedHops: 0,
        mergeSlashes: false,
        rejectEscapedSlashes: false,
        preserveRequestId: false,
        stripMatchingHostPort: false,
        serverName: "test",
        ...options,
      },
      listeners: [],
      tcpListeners: [{ name: "tcp", address: "127.0.0.1", port, chains }],
      virtualHosts: [],
      routes: [],
      clusters: [
        {
          name: CLUSTER,
          service: { host: "localhost", port: echo.port },
          connectTimeoutMs: 3000,
          tls: {
            mode: "originate",
            credential: "client",
            verification: { mode: "chain-and-name", trust: "ca", name: "localhost" },
            parameters: PARAMETERS,
          },
        },
      ],
    },
  });
  assert.deepEqual(report.problems, []);
  try {
    await run(port, lines, engine);
  } finally {
    await engine.stop();
    store.close();
  }
}

const CLEARTEXT = { mode: "cleartext" } as const;
const TERMINATE = {
  mode: "terminate",
  credential: "server",
  clients: { mode: "required", trust: "ca" },
  parameters: PARAMETERS,
} as const;

test("a connection is one line: who, to whom, under which identities, how much and how long", async () => {
  await withEngine([chain("localhost", TERMINATE)], async (port, lines) => {
    const { client } = await certificates();
    const identity = { servername: "localhost", cert: client.certificate, key: client.privateKey };
    assert.equal((await converse(port, ["four"], identity)).received, "echo:four");
    // The client may learn of the end before the upstream does.
    await eventually(() => lines.length === 1, "the line");
    const [line] = lines as [AccessLogEntry];
    const { time, duration_ms, upstream_ms, request_id, tls_cipher, upstream_tls_cipher, ...rest } = line;
    assert.match(time, /^\d{4}-/);
    assert.ok(duration_ms !== null && duration_ms > 0 && upstream_ms !== null && upstream_ms <= duration_ms);
    assert.match(request_id, /^[0-9a-f-]{36}$/);
    assert.ok(tls_cipher !== null && upstream_tls_cipher !== null);
    assert.deepEqual(rest, {
      client: "127.0.0.1",
      listener: "tcp",
      method: "TCP",
      path: "-",
      host: "localhost",
      status: 0,
      request_bytes: 4,
      response_bytes: 9,
      route: "tcpmapping/default/m",
      upstream: `127.0.0.1:${echo.port}`,
      tls_version: "TLSv1.3",
      client_identity: "CN=gateway",
      upstream_tls_version: "TLSv1.3",
      identity_presented: "CN=gateway (generation 1)",
      identity_verified: "localhost",
      failure: null,
      handshake: null,
      failure_id: null,
      revision: 7,
    });
  });
});

test("a PROXY header tells the client of a TCP connection, before cleartext and before TLS", async () => {
  const chains = [chain("localhost", TERMINATE), chain(null, CLEARTEXT)];
  await withEngine(
    chains,
    async (port, lines) => {
      const { client } = await certificates();
      const identity = { servername: "localhost", cert: client.certificate, key: client.privateKey };
      const header = binaryProxyHeader(PROXY, TCP4, ipv4Addresses("192.0.2.1"));
      assert.equal((await converse(port, ["!"], { ...identity, before: header })).received, "echo:!");
      assert.equal((await converse(port, [`${proxyLine("2001:db8::1")}!`])).received, "echo:!");
      assert.equal((await converse(port, ["PROXY UNKNOWN\r\n", "!"])).received, "echo:!");
      assert.equal((await converse(port, ["!"])).received, "", "without a header");
      await eventually(() => lines.length === 3, "the lines");
      assert.deepEqual(
        lines.map(({ client: address }) => address),
        ["192.0.2.1", "2001:db8::1", "127.0.0.1"],
      );
    },
    { proxyProtocol: true },
  );
});

test("what the drain deadline cuts is counted, and has its line", async () => {
  await withEngine([chain(null, CLEARTEXT)], async (port, lines, engine) => {
    await converseOn(port);
    await engine.drain(50);
    assert.equal(lines.length, 0);
    await engine.stop();
    assert.deepEqual(
      lines.map(({ request_bytes, failure }) => [request_bytes, failure]),
      [[5, null]],
    );
    const route = engine.stats.tcpRoutes.get("tcpmapping/default/m");
    assert.deepEqual([route?.open, [...(route?.ends ?? [])]], [0, [["drained", 1]]]);
    assert.equal(engine.stats.connectionsOpen, 0);
  });
});

test("clients that say nothing are served, and leave nothing behind", async () => {
  await withEngine([chain(null, CLEARTEXT)], async (port, lines, engine) => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => converse(port, [])));
    assert.ok(clients.every(({ received }) => received === "echo:"));
    await eventually(() => lines.length === 20, "the lines");
    assert.equal(engine.stats.connectionsOpen, 0);
  });
});
