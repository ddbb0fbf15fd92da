import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcp,
  type Server,
  type Socket,
} from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { issue, PURPOSES } from "../support/issuing.ts";
import { exchangeBytes } from "../support/raw-client.ts";
import { after, before, describe, it } from "./engines.ts";
import {
  DAY_MS,
  leaf,
  own,
  raw,
  startPeers,
  stranger,
  type Told,
  upstreamCases,
} from "./upstream-handshake-cases.ts";
import { chainOf, root } from "./verify-cases.ts";

describe("why the upstream was not reached", () => {
  const servers: Server[] = [];
  let gateway: RunningGateway;

  before(async () => {
    servers.length = 0;
    const peers = await startPeers();
    servers.push(...peers.servers);
    const parts = [
      peers.yaml,
      mappingYaml("cleartext", { prefix: "/cleartext/", service: `http://localhost:${await alerting()}` }),
      mappingYaml("refused", { prefix: "/refused/", service: "https://localhost:1", tls: "c0" }),
      mappingYaml("unresolved", { prefix: "/unresolved/", service: "https://nobody.invalid:1", tls: "c0" }),
    ];
    gateway = await startGateway({ "all.yaml": parts.join("") });
  });
  after(async () => {
    await gateway.stop();
    for (const server of servers) server.close();
  });

  for (const [index, { name, node, envoy }] of upstreamCases.entries())
    it(name, async (skip) => {
      assert.equal(await reasonOf(`m${index}`), skip === null ? node : envoy === undefined ? node : envoy);
    });

  it("TLS where cleartext is spoken", async (skip) => {
    assert.equal(await reasonOf("cleartext"), skip === null ? "tls_peer" : null);
  });
  it("nobody listens", async () => assert.equal(await reasonOf("refused"), "connect_refused"));
  it("no address", async () => assert.equal(await reasonOf("unresolved"), "dns_failure"));

  /** Answers a request with what a TLS server says to it. */
  async function alerting(): Promise<number> {
    const server = raw((socket) => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 70])))();
    servers.push(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return (server.address() as AddressInfo).port;
  }

  async function reasonOf(mapping: string): Promise<string | null> {
    const request = `GET /${mapping}/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    await exchangeBytes(gateway.httpPort, request, { isEnough: (bytes) => bytes.includes("\r\n\r\n") });
    for (const end = performance.now() + 20_000; performance.now() < end; ) {
      const found = (await gateway.diag()).failures.find(
        ({ route }) => route === `mapping/default/${mapping}`,
      );
      if (found !== undefined) return (found as { handshake?: string }).handshake ?? null;
    }
    throw new Error("not told of");
  }
});

interface ClientCase extends Told {
  readonly name: string;
  readonly options?: ConnectionOptions;
  readonly bytes?: string | (() => Promise<Buffer>);
  /** It ends its side after them. */
  readonly ends?: true;
  /** OpenSSL's client, which trusts nobody: Node's closes without an alert. */
  readonly openssl?: true;
}

/** All that a client says before it is answered. */
const hello = helloOf("edge.example");
const partOfHello = async (): Promise<Buffer> => (await hello).subarray(0, 20);

const clientCases: readonly ClientCase[] = [
  { name: "no certificate", node: "client_certificate_missing" },
  {
    name: "a certificate of an unknown CA",
    node: "issuer_unknown",
    options: chainOf(issue({ by: stranger, subject: "client", extendedKeyUsage: [PURPOSES.client] })),
  },
  {
    name: "a certificate past its end",
    node: "certificate_expired",
    options: chainOf(
      issue({
        by: root,
        subject: "client",
        extendedKeyUsage: [PURPOSES.client],
        notBefore: new Date(Date.now() - 2 * DAY_MS),
        notAfter: new Date(Date.now() - DAY_MS),
      }),
    ),
  },
  { name: "a certificate for servers", node: "purpose_wrong", options: chainOf(leaf()) },
  {
    name: "too old a version",
    node: "no_common_version",
    options: { maxVersion: "TLSv1.1", minVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" },
  },
  {
    name: "other cipher suites",
    envoy: "no_agreement",
    node: "no_common_cipher",
    options: { maxVersion: "TLSv1.2", ciphers: "AES256-SHA256" },
  },
  { name: "other groups", node: "no_common_group", options: { ecdhCurve: "P-521", minVersion: "TLSv1.3" } },
  {
    name: "other protocols",
    envoy: null,
    node: "alpn_mismatch",
    options: { ALPNProtocols: ["spdy"], ...chainOf(own) },
  },
  { name: "a server name that nobody has", node: "sni_unknown", options: { servername: "nobody.example" } },
  {
    name: "our certificate refused",
    envoy: "handshake_failed",
    node: "server_certificate_refused",
    openssl: true,
  },
  { name: "an end before anything is said", node: "handshake_closed", bytes: "", ends: true },
  { name: "an end in the hello", node: "handshake_closed", bytes: partOfHello, ends: true },
  { name: "silence", node: "handshake_timeout", bytes: "" },
  { name: "silence in the hello", node: "handshake_timeout", bytes: partOfHello },
  { name: "silence after the hello", node: "handshake_timeout", bytes: () => hello },
  { name: "cleartext", node: "plaintext_peer", bytes: "GET / HTTP/1.1\r\nHost: edge.example\r\n\r\n" },
];

describe("why a client's handshake came to nothing", () => {
  let gateway: RunningGateway;

  before(async () => {
    const { server } = await certificates();
    const files = {
      "all.yaml":
        secretYaml("ca", { certificate: root.pem }) +
        secretYaml("edge", server) +
        mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }) +
        tlsContextYaml("edge", {
          hosts: ["edge.example"],
          secret: "edge",
          ca_secret: "ca",
          cert_required: true,
        }),
    };
    gateway = await startGateway(files, { limits: { handshakeTimeoutMs: 2000 } });
  });
  after(() => gateway.stop());

  for (const { name, options, bytes, ends, openssl, node, envoy } of clientCases)
    it(name, async (skip) => {
      const before = await told();
      if (openssl === true) await distrust(gateway.httpsPort);
      else
        await shake(
          gateway.httpsPort,
          options ?? {},
          typeof bytes === "function" ? await bytes() : bytes,
          ends,
        );
      const wanted = skip === null ? node : envoy === undefined ? node : envoy;
      for (const end = performance.now() + (wanted === null ? 500 : 20_000); performance.now() < end; ) {
        const now = await told();
        if (now.length > before.length || now[0]?.time !== before[0]?.time) {
          assert.equal(now[0]?.reason, wanted);
          return;
        }
      }
      assert.equal(null, wanted, "not told of");
    });

  async function told(): Promise<{ reason: string; time: string }[]> {
    return ((await gateway.diag()) as unknown as { handshakes: { reason: string; time: string }[] })
      .handshakes;
  }
});

async function distrust(port: number): Promise<void> {
  const flags = ["-connect", `127.0.0.1:${port}`, "-servername", "edge.example", "-verify_return_error"];
  const client = spawn("openssl", ["s_client", ...flags, "-no-CApath", "-no-CAfile", "-no-CAstore"], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await once(client, "exit");
}

function shake(
  port: number,
  options: ConnectionOptions,
  bytes?: Buffer | string,
  ends?: true,
): Promise<void> {
  return new Promise((resolve) => {
    const target = { port, host: "127.0.0.1" };
    const socket =
      bytes === undefined
        ? connect({ ...target, servername: "edge.example", rejectUnauthorized: false, ...options }, () =>
            socket.write("GET / HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n\r\n"),
          )
        : connectTcp(target, () => (ends === true ? socket.end(bytes) : socket.write(bytes)));
    socket.on("error", () => undefined);
    socket.on("data", () => undefined);
    socket.on("close", () => resolve());
  });
}

async function helloOf(servername: string): Promise<Buffer> {
  const server = createTcp();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: "127.0.0.1", servername });
  client.on("error", () => undefined);
  const [socket] = (await once(server, "connection")) as [Socket];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  server.close();
  return bytes;
}
