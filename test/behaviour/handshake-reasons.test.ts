import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttps } from "node:https";
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcp,
  type Server,
  type Socket,
} from "node:net";
import { type ConnectionOptions, connect, type TlsOptions } from "node:tls";
import type { HandshakeReason } from "../../src/diagnostics/handshake.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { type Issued, issue, issueCa, NAMES, PURPOSES } from "../support/issuing.ts";
import { exchangeBytes } from "../support/raw-client.ts";
import { after, before, describe, it } from "./engines.ts";
import { chainOf, deep, plain, root } from "./verify-cases.ts";

const DAY_MS = 86_400_000;
const localhost = NAMES.dns("localhost");
const stranger = issueCa({ subject: "Stranger" });
const own = issue({
  by: root,
  subject: "gateway",
  names: [NAMES.dns("gateway.test")],
  extendedKeyUsage: [PURPOSES.client],
});
const leaf = (options: Partial<Parameters<typeof issue>[0]> = {}): Issued =>
  issue({ by: root, subject: "peer", names: [localhost], extendedKeyUsage: [PURPOSES.server], ...options });

interface Told {
  readonly node: HandshakeReason;
  /** Where Envoy's words allow less, or another; null: nothing. */
  readonly envoy?: HandshakeReason | null;
}

interface UpstreamCase extends Told {
  readonly name: string;
  readonly peer: () => Promise<Server> | Server;
  readonly context?: Readonly<Record<string, unknown>>;
  /** Without our certificate. */
  readonly anonymous?: true;
}

const tls =
  (issued: Issued, options: TlsOptions = {}) =>
  (): Server =>
    createHttps({ ...chainOf(issued), ...options }, (_, response) => response.end("ok"));
const raw = (act: (socket: Socket) => void) => (): Server =>
  createTcp((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => act(socket));
  });
const asking = { ca: root.pem, requestCert: true, rejectUnauthorized: true };

const upstreamCases: readonly UpstreamCase[] = [
  {
    name: "expired",
    node: "certificate_expired",
    peer: tls(
      leaf({ notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) }),
    ),
  },
  {
    name: "not yet valid",
    node: "certificate_not_yet_valid",
    peer: tls(leaf({ notBefore: new Date(Date.now() + DAY_MS) })),
  },
  {
    name: "of an unknown CA",
    node: "issuer_unknown",
    peer: tls(
      issue({ by: stranger, subject: "peer", names: [localhost], extendedKeyUsage: [PURPOSES.server] }),
    ),
  },
  {
    name: "self-signed",
    envoy: "issuer_unknown",
    node: "self_signed_leaf",
    peer: tls(issue({ by: null, subject: "peer", names: [localhost], extendedKeyUsage: [PURPOSES.server] })),
  },
  { name: "for another name", node: "name_mismatch", peer: tls(leaf({ names: [NAMES.dns("other.test")] })) },
  { name: "for clients", node: "purpose_wrong", peer: tls(leaf({ extendedKeyUsage: [PURPOSES.client] })) },
  {
    name: "issued by no CA",
    envoy: "issuer_unknown",
    node: "issuer_not_ca",
    peer: tls(issue({ by: plain, subject: "peer", names: [localhost], extendedKeyUsage: [PURPOSES.server] })),
  },
  { name: "without its intermediate", node: "issuer_unknown", peer: tls(deep, { cert: deep.pem }) },
  {
    name: "too old a version",
    node: "no_common_version",
    peer: tls(leaf(), { maxVersion: "TLSv1.2" }),
    context: { min_tls_version: "v1.3" },
  },
  {
    name: "too new a version",
    node: "no_common_version",
    peer: tls(leaf(), { minVersion: "TLSv1.3" }),
    context: { max_tls_version: "v1.2" },
  },
  {
    name: "other cipher suites",
    node: "no_agreement",
    peer: tls(leaf(), { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" }),
    context: { max_tls_version: "v1.2", cipher_suites: ["ECDHE-ECDSA-AES128-GCM-SHA256"] },
  },
  {
    name: "other groups",
    node: "no_agreement",
    peer: tls(leaf(), { ecdhCurve: "P-384" }),
    context: { ecdh_curves: ["P-256"] },
  },
  { name: "other protocols", node: "alpn_mismatch", peer: tls(leaf(), { ALPNProtocols: ["spdy"] }) },
  {
    name: "an alert about the server name",
    node: "sni_unknown",
    peer: raw((socket) => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 112]))),
  },
  {
    name: "no certificate of ours, TLS 1.3",
    envoy: null,
    node: "client_certificate_missing",
    peer: tls(leaf(), asking),
    anonymous: true,
  },
  {
    name: "no certificate of ours, TLS 1.2",
    node: "no_agreement",
    peer: tls(leaf(), { ...asking, maxVersion: "TLSv1.2" }),
    anonymous: true,
  },
  {
    name: "our certificate refused",
    node: "client_certificate_refused",
    peer: raw((socket) => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 48]))),
  },
  {
    name: "cleartext",
    node: "plaintext_peer",
    peer: raw((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  },
  { name: "an end in the handshake", node: "handshake_closed", peer: raw((socket) => socket.end()) },
  {
    name: "a reset in the handshake",
    node: "handshake_reset",
    peer: raw((socket) => socket.resetAndDestroy()),
  },
  { name: "silence", envoy: "connect_timeout", node: "handshake_timeout", peer: raw(() => undefined) },
];

describe("why the upstream was not reached", () => {
  const servers: Server[] = [];
  let gateway: RunningGateway;

  before(async () => {
    servers.length = 0;
    const { cert, key } = chainOf(own);
    const parts = [
      secretYaml("ca", { certificate: root.pem }),
      secretYaml("own", { certificate: cert, privateKey: key }),
      mappingYaml("cleartext", { prefix: "/cleartext/", service: `http://localhost:${await alerting()}` }),
      mappingYaml("refused", { prefix: "/refused/", service: "https://localhost:1", tls: "c0" }),
      mappingYaml("unresolved", { prefix: "/unresolved/", service: "https://nobody.invalid:1", tls: "c0" }),
    ];
    for (const [index, { peer, context = {}, anonymous }] of upstreamCases.entries()) {
      const server = await peer();
      servers.push(server);
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address() as AddressInfo;
      const service = `https://localhost:${port}`;
      parts.push(
        mappingYaml(`m${index}`, {
          prefix: `/m${index}/`,
          service,
          tls: `c${index}`,
          connect_timeout_ms: 1000,
        }),
        tlsContextYaml(`c${index}`, {
          hosts: [],
          ca_secret: "ca",
          ...(anonymous ? {} : { secret: "own" }),
          ...context,
        }),
      );
    }
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
    for (const end = performance.now() + 5000; performance.now() < end; ) {
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
  readonly bytes?: Buffer | string;
  /** OpenSSL's client, which trusts nobody: Node's closes without an alert. */
  readonly openssl?: true;
}

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
  { name: "cleartext", node: "plaintext_peer", bytes: "GET / HTTP/1.1\r\nHost: edge.example\r\n\r\n" },
];

describe("why a client's handshake came to nothing", () => {
  let gateway: RunningGateway;

  before(async () => {
    const { server } = await certificates();
    gateway = await startGateway({
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
    });
  });
  after(() => gateway.stop());

  for (const { name, options, bytes, openssl, node, envoy } of clientCases)
    it(name, async (skip) => {
      const before = await told();
      if (openssl === true) await distrust(gateway.httpsPort);
      else await shake(gateway.httpsPort, options ?? {}, bytes);
      const wanted = skip === null ? node : envoy === undefined ? node : envoy;
      for (const end = performance.now() + (wanted === null ? 500 : 5000); performance.now() < end; ) {
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

function shake(port: number, options: ConnectionOptions, bytes?: Buffer | string): Promise<void> {
  return new Promise((resolve) => {
    const target = { port, host: "127.0.0.1" };
    const socket =
      bytes === undefined
        ? connect({ ...target, servername: "edge.example", rejectUnauthorized: false, ...options }, () =>
            socket.write("GET / HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n\r\n"),
          )
        : connectTcp(target, () => socket.write(bytes));
    socket.on("error", () => undefined);
    socket.on("data", () => undefined);
    socket.on("close", () => resolve());
  });
}
