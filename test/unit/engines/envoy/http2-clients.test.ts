import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../../../support/certificates.ts";
import { type RunningGateway, startGateway } from "../../../support/gateway.ts";
import { startUpstream, type Upstream } from "../../../support/upstream.ts";
import { until } from "../../../support/until.ts";

let gateway: RunningGateway;
let upstream: Upstream;
let identity: { cert: string; key: string };
const sessions: ClientHttp2Session[] = [];

before(async () => {
  const { ca, client, server } = await certificates();
  identity = { cert: client.certificate, key: client.privateKey };
  upstream = await startUpstream("cleartext");
  const service = `127.0.0.1:${upstream.port}`;
  const context = (name: string, hosts: string[], fields: object) =>
    tlsContextYaml(name, { hosts, secret: "edge", alpn_protocols: "h2,http/1.1", ...fields });
  gateway = await startGateway(
    {
      "all.yaml":
        secretYaml("edge", server) +
        secretYaml("ca", { certificate: ca.certificate }) +
        context("open", ["a.example", "b.example"], {}) +
        context("closed", ["c.example", "d.example"], { ca_secret: "ca", cert_required: true }) +
        context("lost", ["lost.example"], { ca_secret: "nobody", cert_required: true }) +
        ["a", "b", "c", "d", "lost"]
          .map((name) => mappingYaml(name, { host: `${name}.example`, prefix: "/", service }))
          .join("") +
        mappingYaml("dead", { host: "a.example", prefix: "/dead/", service: "127.0.0.1:1" }),
    },
    { engine: "envoy" },
  );
});
after(async () => {
  for (const session of sessions) session.destroy();
  await gateway?.stop();
  await upstream?.close();
});

async function session(servername: string, options: object = {}): Promise<ClientHttp2Session> {
  const socket = connect({
    host: "127.0.0.1",
    port: gateway.httpsPort,
    servername,
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
    ...options,
  });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  assert.equal(socket.alpnProtocol, "h2");
  const made = connectHttp2(`https://${servername}`, { createConnection: () => socket });
  made.on("error", () => undefined);
  sessions.push(made);
  return made;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly id: string | undefined;
}

async function ask(made: ClientHttp2Session, headers: OutgoingHttpHeaders): Promise<Answer> {
  const stream = made.request({ ":path": "/x", ...headers });
  stream.end();
  const [received] = await once(stream, "response");
  let body = "";
  for await (const piece of stream.setEncoding("utf8")) body += piece;
  return { status: Number(received[":status"]), body, id: received["x-credence-failure-id"] };
}

async function statusByHttp1(servername: string, host: string): Promise<number> {
  const socket = connect({
    host: "127.0.0.1",
    port: gateway.httpsPort,
    servername,
    rejectUnauthorized: false,
  });
  let text = "";
  socket.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  socket.write(`GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  await once(socket, "close");
  return Number(text.split(" ")[1]);
}

const hostSeen = (): unknown => upstream.seen.at(-1)?.headers.host;

test("`:authority` is the host, in any case", async () => {
  const made = await session("a.example");
  for (const authority of ["a.example", "A.Example"]) {
    assert.equal((await ask(made, { ":authority": authority })).status, 200);
    assert.equal(String(hostSeen()).toLowerCase(), authority.toLowerCase());
  }
  // What nobody has is answered as with HTTP/1.1, and not by another's routes.
  for (const authority of ["nobody.example", "a.example:443"]) {
    const { status } = await ask(made, { ":authority": authority });
    assert.ok(status === 404 || status === 421, `${status}`);
    assert.equal(await statusByHttp1("a.example", authority), status);
  }
});

test("a connection is good for each host that is held to the same check (coalescing), one request beside the other", async () => {
  const made = await session("a.example");
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      ask(made, { ":authority": index % 2 ? "b.example" : "a.example" }),
    ),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  const checked = await session("c.example", identity);
  for (const name of ["c.example", "d.example"])
    assert.equal((await ask(checked, { ":authority": name })).status, 200);
});

test("421 for a host that asks for more than the handshake was held to, and the connection goes on", async () => {
  const made = await session("a.example");
  const before = upstream.seen.length;
  for (const name of ["c.example", "d.example", "C.EXAMPLE", "c.example:443"]) {
    const refused = await ask(made, { ":authority": name });
    assert.equal(refused.status, 421, name);
    assert.equal((JSON.parse(refused.body) as { id: string }).id, refused.id);
  }
  assert.equal(upstream.seen.length, before);
  assert.equal((await ask(made, { ":authority": "a.example" })).status, 200);
  await until(async () =>
    (await gateway.diag()).failures.some(({ reason }) => reason === "misdirected_request"),
  );
  // Who was held to more may ask for what asks for less.
  const checked = await session("c.example", identity);
  assert.equal((await ask(checked, { ":authority": "a.example" })).status, 200);
});

test("Host does not say what `:authority` does not", async () => {
  const made = await session("a.example");
  const answer = await ask(made, { ":authority": "a.example", host: "c.example" }).catch(() => null);
  // Refused, or served as what `:authority` says: never as the other.
  if (answer !== null && answer.status === 200) assert.equal(hostSeen(), "a.example");
  else assert.ok(answer === null || answer.status === 400, JSON.stringify(answer));
});

test("a host whose check cannot be made is not reached over the connection of another", async () => {
  const made = await session("a.example");
  const before = upstream.seen.length;
  const { status } = await ask(made, { ":authority": "lost.example" });
  assert.ok(status === 421 || status === 503, `${status}`);
  assert.equal(upstream.seen.length, before);
});

test("a failure has its id and reason, and costs no other stream", async () => {
  const made = await session("a.example");
  const [dead, alive] = await Promise.all([
    ask(made, { ":authority": "a.example", ":path": "/dead/" }),
    ask(made, { ":authority": "a.example" }),
  ]);
  assert.deepEqual([dead.status, alive.status], [503, 200]);
  await until(async () =>
    (await gateway.diag()).failures.some(
      ({ id, reason }) => id === dead.id && reason === "upstream_connect_refused",
    ),
  );
});
