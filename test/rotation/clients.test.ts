import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import type { EngineName } from "../../src/model/capabilities.ts";
import { freePort } from "../support/free-port.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { type Issued, type Issuing, issue, issueCa, issueList } from "../support/issuing.ts";
import { echoing, startByteServer, tcpMappingYaml } from "../support/tcp.ts";
import { until } from "../support/until.ts";

// Connections of clients whose certificate is accepted no longer end with what is in flight; those of others go on.

const root = issueCa({ subject: "clients' root" });
const middle = issueCa({ subject: "clients' intermediate", by: root });
const client = (subject: string, options: Issuing = {}): Issued => issue({ subject, by: middle, ...options });

const chainOf = (issued: Issued): ConnectionOptions => ({
  cert: issued.pem + (issued.issuer === middle ? middle.pem : ""),
  key: issued.keys.privateKey.export({ type: "pkcs8", format: "pem" }),
});

const listed = (...revoked: Issued[]): string =>
  secretYaml("crl", {
    crl: issueList({ by: root, number: 1 }) + issueList({ by: middle, revoked, number: revoked.length + 1 }),
  });

/** One that stays open, and all that came on it. */
class Client {
  received = "";
  isClosed = false;
  session: Buffer | undefined;
  readonly socket: TLSSocket;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
    });
    socket.on("session", (session: Buffer) => {
      this.session = session;
    });
    socket.on("error", () => {});
    for (const event of ["end", "close"])
      socket.on(event, () => {
        this.isClosed = true;
      });
  }

  static async of(t: TestContext, port: number, options: ConnectionOptions): Promise<Client> {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    t.after(() => socket.destroy());
    const made = new Client(socket);
    await once(socket, "secureConnect");
    return made;
  }

  get(path: string, fields = ""): this {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: edge.example\r\n${fields}\r\n`);
    return this;
  }

  async answers(count: number): Promise<void> {
    await until(() => this.heads.length >= count);
    assert.equal(this.heads.length, count, this.received);
  }

  get heads(): string[] {
    return this.received.match(/HTTP\/1\.1 \d+ [\s\S]*?\r\n\r\n/g) ?? [];
  }
}

interface World {
  readonly gateway: RunningGateway;
  readonly tcpPort: number;
  /** Ends the slow responses. */
  readonly release: () => void;
  readonly slow: ServerResponse[];
  endedFor(reason: string): Promise<number>;
}

async function startWorld(t: TestContext, retireMs: number, engine: EngineName = "node"): Promise<World> {
  const slow: ServerResponse[] = [];
  const upstream = createServer((request, response) => {
    if (request.url === "/slow") slow.push(response);
    else if (request.url === "/begun") {
      response.write("begun ");
      slow.push(response);
    } else response.end("quick");
  });
  upstream.on("upgrade", (_request, socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    socket.pipe(socket);
  });
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  const bytes = await startByteServer("cleartext", echoing("tcp"));
  const tcpPort = await freePort();
  const { server } = await certificates();
  const context = (name: string): string =>
    tlsContextYaml(name, {
      hosts: [`${name}.example`],
      secret: "edge",
      ca_secret: "ca",
      cert_required: true,
      verify: { crl_secret: "crl" },
    });
  const gateway = await startGateway(
    {
      "routes.yaml": [
        mappingYaml("m", {
          ...{ prefix: "/", service: `127.0.0.1:${(upstream.address() as AddressInfo).port}` },
          ...{ timeout_ms: 0, allow_upgrade: ["echo"] },
        }),
        ...[context("edge"), context("bytes"), secretYaml("edge", server)],
        tlsContextYaml("open", { hosts: ["open.example"], secret: "edge" }),
        tcpMappingYaml("t", { port: tcpPort, host: "bytes.example", service: `127.0.0.1:${bytes.port}` }),
      ].join(""),
      "ca.yaml": secretYaml("ca", { certificate: root.pem }),
      "crl.yaml": listed(),
    },
    { engine, limits: { retireMs } },
  );
  t.after(async () => {
    await gateway.stop();
    upstream.close();
    upstream.closeAllConnections();
    bytes.close();
  });
  return {
    gateway,
    tcpPort,
    slow,
    release: () => {
      for (const response of slow.splice(0)) response.end("late");
    },
    async endedFor(reason) {
      const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
      const found = new RegExp(`^credence_clients_ended_total\\{reason="${reason}"\\} (\\d+)`, "m").exec(
        text,
      );
      return Number(found?.[1] ?? 0);
    },
  };
}

const EDGE = { servername: "edge.example" };

test("a client that a new list revokes ends what is in flight, with Connection: close; idle connections end at once, others' stay", async (t) => {
  const { gateway, slow, release, endedFor } = await startWorld(t, 60_000);
  const port = gateway.httpsPort;
  const [bad, good] = [client("bad"), client("good")];
  const connectAs = (who: Issued): Promise<Client> => Client.of(t, port, { ...EDGE, ...chainOf(who) });
  const idle = (await connectAs(bad)).get("/");
  await idle.answers(1);
  const resumed = await Client.of(t, port, { ...EDGE, ...chainOf(bad), ...sessionOf(idle) });
  resumed.get("/");
  await resumed.answers(1);
  assert.equal(resumed.socket.isSessionReused(), true);
  const resumedGood = (await connectAs(good)).get("/");
  await resumedGood.answers(1);
  const other = await Client.of(t, port, { ...EDGE, ...chainOf(good), ...sessionOf(resumedGood) });
  other.get("/");
  await other.answers(1);
  assert.equal(other.socket.isSessionReused(), true);
  const [waiting, begun, patient] = [await connectAs(bad), await connectAs(bad), await connectAs(good)];
  waiting.get("/slow");
  begun.get("/begun");
  patient.get("/slow");
  await until(() => slow.length === 3 && begun.received.includes("begun"));
  await gateway.replace("crl.yaml", listed(bad));
  await until(() => idle.isClosed && resumed.isClosed);
  assert.equal(await endedFor("revoked"), 4);
  assert.deepEqual([waiting.isClosed, begun.isClosed, patient.isClosed], [false, false, false]);
  // What is pipelined behind the request in flight is no request any more.
  waiting.get("/");
  release();
  await until(() => waiting.isClosed && begun.isClosed);
  assert.match(waiting.heads.join(""), /^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*connection: close\r\n/i);
  assert.equal(waiting.heads.length, 1);
  assert.match(waiting.received, /late/);
  assert.match(begun.received, /begun [\s\S]*late/);
  for (const each of [patient, other, resumedGood]) {
    const before = each.heads.length;
    each.get("/");
    await until(() => each.heads.length > before);
    assert.equal(each.isClosed, false);
    assert.doesNotMatch(each.received, /connection: close/i);
  }
});

test("what does not end by itself is cut when the time for it is over: requests, tunnels and TCP streams", async (t) => {
  const { gateway, tcpPort, slow, endedFor } = await startWorld(t, 300);
  const [bad, good] = [client("bad"), client("good")];
  const open = async (who: Issued): Promise<[Client, Client, Client]> => {
    const stuck = await Client.of(t, gateway.httpsPort, { ...EDGE, ...chainOf(who) });
    stuck.get("/slow");
    const tunnel = await Client.of(t, gateway.httpsPort, { ...EDGE, ...chainOf(who) });
    tunnel.get("/ws", "Connection: Upgrade\r\nUpgrade: echo\r\n").socket.write("over the tunnel");
    await until(() => tunnel.received.includes("over the tunnel"));
    const stream = await Client.of(t, tcpPort, { servername: "bytes.example", ...chainOf(who) });
    stream.socket.write("hello");
    await until(() => stream.received.includes("hello"));
    return [stuck, tunnel, stream];
  };
  const mine = await open(bad);
  const others = await open(good);
  await until(() => slow.length === 2);
  await gateway.replace("crl.yaml", listed(bad));
  await until(() => mine.every(({ isClosed }) => isClosed));
  assert.equal(await endedFor("revoked"), 3);
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  assert.match(text, /credence_tcp_connections_total\{[^}]*end="refused"\} 1/);
  assert.deepEqual(
    others.map(({ isClosed }) => isClosed),
    [false, false, false],
  );
});

test("a CA that is dropped takes its clients' connections along", async (t) => {
  const { gateway, endedFor } = await startWorld(t, 60_000);
  const { ca } = await certificates();
  await gateway.replace("ca.yaml", secretYaml("ca", { certificate: root.pem + ca.certificate }));
  const old = await Client.of(t, gateway.httpsPort, { ...EDGE, ...chainOf(client("old")) });
  await old.get("/").answers(1);
  await gateway.replace("ca.yaml", secretYaml("ca", { certificate: ca.certificate }));
  await until(() => old.isClosed);
  assert.equal(await endedFor("issuer_unknown"), 1);
});

test("a connection does not outlive its client's certificate, nor under `require` the list that cleared it", async (t) => {
  const { gateway, endedFor } = await startWorld(t, 60_000);
  const soon = (): Date => new Date(Math.ceil(Date.now() / 1000) * 1000 + 4000);
  const brief = await Client.of(t, gateway.httpsPort, {
    ...EDGE,
    ...chainOf(client("brief", { notAfter: soon() })),
  });
  const lasting = await Client.of(t, gateway.httpsPort, { ...EDGE, ...chainOf(client("lasting")) });
  await brief.get("/").answers(1);
  await lasting.get("/").answers(1);
  await until(() => brief.isClosed);
  assert.equal(await endedFor("certificate_expired"), 1);
  assert.equal(lasting.isClosed, false);
  const lists = issueList({ by: root, number: 2 }) + issueList({ by: middle, number: 2, nextUpdate: soon() });
  await gateway.replace("crl.yaml", secretYaml("crl", { crl: lists }));
  await lasting.get("/").answers(2);
  await until(() => lasting.isClosed);
  assert.equal(await endedFor("crl_stale"), 1);
});

test("on Envoy a new list that revokes somebody, and no other, makes the connections of its chain close with their next response", async (t) => {
  const { gateway, tcpPort, slow, release } = await startWorld(t, 30_000, "envoy");
  const [bad, good] = [client("bad"), client("good")];
  const connectAs = (who: Issued): Promise<Client> =>
    Client.of(t, gateway.httpsPort, { ...EDGE, ...chainOf(who) });
  const [idle, waiting, other] = [await connectAs(bad), await connectAs(bad), await connectAs(good)];
  const open = await Client.of(t, gateway.httpsPort, { servername: "open.example" });
  const all = [idle, waiting, other, open];
  for (const each of all) await each.get("/").answers(1);
  const stream = await Client.of(t, tcpPort, { servername: "bytes.example", ...chainOf(good) });
  stream.socket.write("hello");
  await until(() => stream.received.includes("hello"));
  // Renewed, it revokes nobody who was not revoked before.
  await gateway.replace("crl.yaml", listed());
  for (const each of all) await each.get("/").answers(2);
  waiting.get("/slow");
  await until(() => slow.length === 1);
  await gateway.replace("crl.yaml", listed(bad));
  // The list may be there before the chain is replaced. Once it is, one request more is all that is answered.
  for (const each of [idle, other])
    await until(async () => {
      await each.get("/").answers(each.heads.length + 1);
      return isToldToClose(each);
    });
  release();
  await waiting.answers(3);
  assert.ok(isToldToClose(waiting));
  await until(() => [idle, waiting, other].every(({ isClosed }) => isClosed));
  const fresh = await connectAs(bad).catch(() => null);
  await until(() => fresh === null || fresh.isClosed);
  await open.get("/").answers(3);
  assert.doesNotMatch(open.received, /connection: close/i);
  assert.equal(stream.isClosed, false);
});

test("on Envoy those of them that ask nothing are cut when the drain time is over", async (t) => {
  const { gateway, tcpPort } = await startWorld(t, 1000, "envoy");
  const [bad, good] = [client("bad"), client("good")];
  const connectAs = (who: Issued): Promise<Client> =>
    Client.of(t, gateway.httpsPort, { ...EDGE, ...chainOf(who) });
  const [idle, upgraded, other] = [await connectAs(bad), await connectAs(bad), await connectAs(good)];
  const open = await Client.of(t, gateway.httpsPort, { servername: "open.example" });
  for (const each of [idle, other, open]) await each.get("/").answers(1);
  await upgraded.get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n").answers(1);
  const stream = await Client.of(t, tcpPort, { servername: "bytes.example", ...chainOf(bad) });
  stream.socket.write("hello");
  await until(() => stream.received.includes("hello"));
  await gateway.replace("crl.yaml", listed(bad));
  const all = [idle, upgraded, other, stream];
  await until(() => all.every(({ isClosed }) => isClosed), 15_000);
  await open.get("/").answers(2);
  assert.equal(open.isClosed, false);
});

function isToldToClose({ heads }: Client): boolean {
  return /\r\nconnection: close\r\n/i.test(heads.at(-1) ?? "");
}

function sessionOf({ session }: Client): { session: Buffer } {
  assert.ok(session !== undefined);
  return { session };
}
