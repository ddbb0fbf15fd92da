import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { connect, type ConnectionOptions, type Server } from "node:tls";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { type Issued, issueList } from "../support/issuing.ts";
import { exchangeBytes } from "../support/raw-client.ts";
import { after, before, describe, it } from "./engines.ts";
import type { Skip } from "./skips.ts";
import { chainOf, deep, middle, plain, root, type VerifyCase, verifyCases } from "./verify-cases.ts";

/** `skip`: it is Envoy's turn, and there is a difference. */
const faultOf = ({ fault, onEnvoy }: VerifyCase, skip: Skip | null): string | null =>
  skip === null ? fault : (onEnvoy ?? fault);

describe("verify: what is asked of an upstream", () => {
  const servers: Server[] = [];
  let gateway: RunningGateway;

  before(async () => {
    servers.length = 0;
    const parts: string[] = [secretYaml("ca", { certificate: root.pem })];
    for (const [index, testCase] of verifyCases.entries()) {
      const port = await serve(testCase.peer);
      parts.push(
        mappingYaml(`m${index}`, {
          prefix: `/m${index}/`,
          service: `https://localhost:${port}`,
          tls: `c${index}`,
        }),
        tlsContextYaml(`c${index}`, { hosts: [], ca_secret: "ca", verify: verifyOf(testCase, index) }),
        listsYaml(`crl${index}`, testCase.lists),
      );
    }
    gateway = await startGateway({ "all.yaml": parts.join("") });
  });
  after(async () => {
    await gateway.stop();
    for (const server of servers) server.close();
  });

  for (const [index, testCase] of verifyCases.entries())
    it(testCase.name, async (skip) => {
      const isClosed = skip !== null && testCase.closedOnEnvoy !== undefined;
      const status = await ask(gateway, `/m${index}/`);
      const isServed = testCase.fault === null && !isClosed;
      assert.equal(status, isServed ? 200 : 503);
      if (isServed) return;
      const { reason, handshake } = await failureOf(gateway, `mapping/default/m${index}`);
      if (isClosed) assert.equal(reason, "route_fails_closed");
      else assert.equal(handshake, faultOf(testCase, skip), reason);
    });

  async function serve(peer: Issued): Promise<number> {
    const server = createServer(chainOf(peer), (_, response) => response.end("ok"));
    servers.push(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return (server.address() as AddressInfo).port;
  }
});

describe("verify: what is asked of a client", () => {
  let gateway: RunningGateway;

  before(async () => {
    const { server } = await certificates();
    const parts = [
      secretYaml("ca", { certificate: root.pem }),
      secretYaml("edge", server),
      mappingYaml("health", { prefix: "/", service: "127.0.0.1:1" }),
    ];
    for (const [index, testCase] of verifyCases.entries())
      for (const required of [true, false])
        parts.push(
          tlsContextYaml(`c${index}-${required}`, {
            hosts: [`h${index}-${required}.example`],
            secret: "edge",
            ca_secret: "ca",
            ...(required ? { cert_required: true } : {}),
            verify: rulesOf(testCase, index),
          }),
        );
    for (const [index, { lists }] of verifyCases.entries()) parts.push(listsYaml(`crl${index}`, lists));
    gateway = await startGateway({ "all.yaml": parts.join("") });
  });
  after(() => gateway.stop());

  for (const [index, testCase] of verifyCases.entries())
    for (const required of [true, false])
      it(`${testCase.name}, ${required ? "required" : "asked for"}`, async (skip) => {
        const servername = `h${index}-${required}.example`;
        const { isServed } = await shake(gateway.httpsPort, { servername, ...chainOf(testCase.peer) });
        const isClosed =
          skip !== null && (testCase.closedOnEnvoy === true || (!required && asksWho(testCase)));
        assert.equal(isServed, testCase.fault === null && !isClosed);
        const withNone = await shake(gateway.httpsPort, { servername });
        assert.equal(withNone.isServed, !required && !isClosed, "without a certificate");
        if (testCase.fault === null || isClosed) return;
        assert.ok(await isToldOf(gateway, servername, faultOf(testCase, skip)), "told of");
        if (required) assert.ok(await isToldOf(gateway, servername, "client_certificate_missing"));
      });
});

const listed = (...revoked: Issued[]): string =>
  listsYaml("crl", [
    issueList({ by: root, number: 1 }),
    issueList({ by: middle, revoked, number: revoked.length + 1 }),
  ]);

it("verify: a list that revokes an upstream ends what goes over its connections", async () => {
  const upstream = createServer(chainOf(deep), (_, response) => response.end("ok"));
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  const { port } = upstream.address() as AddressInfo;
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/up/", service: `https://localhost:${port}`, tls: "up" }) +
      tlsContextYaml("up", { hosts: [], ca_secret: "ca", verify: { crl_secret: "crl" } }) +
      secretYaml("ca", { certificate: root.pem }),
    "crl.yaml": listed(),
  });
  try {
    assert.equal(await ask(gateway, "/up/"), 200);
    await gateway.replace("crl.yaml", listed(deep));
    await eventually(async () => (await ask(gateway, "/up/")) === 503);
    assert.equal((await failureOf(gateway, "mapping/default/m")).handshake, "revoked");
  } finally {
    await gateway.stop();
    upstream.close();
    upstream.closeAllConnections();
  }
});

it("verify: a list that revokes a client ends its sessions", async (skip) => {
  const { server } = await certificates();
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }) +
      tlsContextYaml("edge", {
        hosts: ["edge.example"],
        secret: "edge",
        ca_secret: "ca",
        cert_required: true,
        verify: { crl_secret: "crl" },
      }) +
      secretYaml("edge", server) +
      secretYaml("ca", { certificate: root.pem }),
    "crl.yaml": listed(),
  });
  try {
    const client = { servername: "edge.example", ...chainOf(deep) };
    const first = await shake(gateway.httpsPort, client);
    assert.equal(first.isServed, true);
    const again = await shake(gateway.httpsPort, { ...client, session: first.session });
    assert.deepEqual([again.isServed, again.isResumed], [true, skip === null]);
    await gateway.replace("crl.yaml", listed(deep));
    await eventually(async () => !(await shake(gateway.httpsPort, client)).isServed);
    assert.equal((await shake(gateway.httpsPort, { ...client, session: again.session })).isServed, false);
    assert.ok(await isToldOf(gateway, "edge.example", "revoked"));
  } finally {
    await gateway.stop();
  }
});

it("verify: no session outlives the CA that vouched for its client", async () => {
  const { server, ca } = await certificates();
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }) +
      tlsContextYaml("edge", {
        hosts: ["edge.example"],
        secret: "edge",
        ca_secret: "ca",
        cert_required: true,
      }) +
      secretYaml("edge", server),
    "ca.yaml": secretYaml("ca", { certificate: root.pem + ca.certificate }),
  });
  try {
    const client = { servername: "edge.example", ...chainOf(plain) };
    const first = await shake(gateway.httpsPort, client);
    assert.equal(first.isServed, true);
    await gateway.replace("ca.yaml", secretYaml("ca", { certificate: ca.certificate }));
    await eventually(async () => !(await shake(gateway.httpsPort, client)).isServed);
    assert.equal((await shake(gateway.httpsPort, { ...client, session: first.session })).isServed, false);
  } finally {
    await gateway.stop();
  }
});

/** Of an upstream that is dialled as localhost, which not all of them are called. */
function verifyOf(testCase: VerifyCase, index: number): Record<string, unknown> {
  const named = Object.keys(testCase.verify).some((field) => /names|ids|domains/.test(field));
  return { ...(named ? {} : { dns_names: ["peer.test"] }), ...rulesOf(testCase, index) };
}

function asksWho({ verify }: VerifyCase): boolean {
  return Object.keys(verify).some((field) => /names|ids|domains|spki/.test(field));
}

function rulesOf({ verify, lists }: VerifyCase, index: number): Record<string, unknown> {
  return { ...verify, ...(lists === undefined ? {} : { crl_secret: `crl${index}` }) };
}

function listsYaml(name: string, lists: readonly string[] | undefined): string {
  if (lists === undefined) return "";
  const data = { "crl.pem": Buffer.from(lists.join("")).toString("base64") };
  return `---\n${JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "default" }, type: "Opaque", data })}\n`;
}

async function ask(gateway: RunningGateway, path: string): Promise<number> {
  const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
  const received = await exchangeBytes(gateway.httpPort, request, {
    isEnough: (bytes) => bytes.includes("\r\n\r\n"),
  });
  return Number(/^HTTP\/1\.1 (\d+)/.exec(received)?.[1] ?? 0);
}

interface Failure {
  readonly reason: string;
  readonly handshake?: string;
  readonly route: string | null;
}

/** The newest of a route, once it is known. */
async function failureOf(gateway: RunningGateway, route: string): Promise<Failure> {
  let found: Failure | undefined;
  await eventually(async () => {
    found = (await gateway.diag()).failures.find((each) => each.route === route);
    return found !== undefined;
  });
  return found as Failure;
}

async function isToldOf(
  gateway: RunningGateway,
  serverName: string,
  reason: string | null,
): Promise<boolean> {
  return eventually(async () => {
    const { handshakes } = (await gateway.diag()) as unknown as {
      handshakes: { serverName: string | null; reason: string }[];
    };
    return handshakes.some((each) => each.serverName === serverName && each.reason === reason);
  });
}

interface Shaken {
  readonly isServed: boolean;
  readonly isResumed: boolean;
  readonly session: Buffer | undefined;
}

function shake(port: number, options: ConnectionOptions): Promise<Shaken> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    let session: Buffer | undefined;
    let isResumed = false;
    let isServed = false;
    socket.on("session", (ticket: Buffer) => {
      session = ticket;
    });
    socket.on("secureConnect", () => {
      isResumed = socket.isSessionReused();
      socket.write(`GET / HTTP/1.1\r\nHost: ${options.servername}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", () => {
      isServed = true;
      setImmediate(() => socket.destroy());
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve({ isServed, isResumed, session }));
  });
}

async function eventually(test: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + 20_000;
  while (!(await test())) {
    if (performance.now() > end) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}
