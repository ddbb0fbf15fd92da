import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { it } from "../behaviour/engines.ts";
import { mappingYaml } from "../support/certificates.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startUpstream } from "../support/upstream.ts";

// Shutdown loses no request: neither one that runs, nor one that is on its way while the end is decided.

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

/** A client's connection, and all that came on it. */
class Client {
  received = "";
  readonly closed: Promise<void>;
  readonly #socket: Socket;

  constructor(gateway: RunningGateway) {
    this.#socket = connect(gateway.httpPort, "127.0.0.1").on("error", () => {});
    this.#socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1");
    });
    this.closed = new Promise((resolve) => this.#socket.on("close", () => resolve()));
  }

  send(text: string): this {
    this.#socket.write(text);
    return this;
  }

  async answers(count: number): Promise<void> {
    while (this.heads.length < count && !this.#socket.destroyed) await later(5);
    assert.equal(this.heads.length, count);
  }

  get heads(): string[] {
    return this.received.match(/HTTP\/1\.1 200 OK\r\n[\s\S]*?\r\n\r\n/g) ?? [];
  }
}

const later = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

function outcomeOfConnecting(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve("connected")).on("connect", () => socket.destroy());
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}

it("whatever a client is in the middle of is finished; idle connections are closed once nothing can be on its way", async () => {
  const release: (() => void)[] = [];
  const upstream = await startUpstream("cleartext", (request, response) => {
    if (request.url === "/slow") release.push(() => response.end("slow"));
    else response.end("quick");
  });
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}`, timeout_ms: 0 }),
  });
  try {
    const running = new Client(gateway).send(get("/slow"));
    const sending = new Client(gateway).send("GET /quick HTTP/1.1\r\nHo");
    const [recent, old] = [new Client(gateway).send(get("/quick")), new Client(gateway).send(get("/quick"))];
    await Promise.all([recent.answers(1), old.answers(1)]);
    // So long that all four would be closed, were they idle.
    await later(1200);
    recent.send(get("/quick"));
    await recent.answers(2);

    const port = gateway.httpPort;
    const over = gateway.gateway.shutDown(10_000);
    // Envoy's idle connections end with its process.
    if (engineUnderTest() === "node") await old.closed;
    else while ((await outcomeOfConnecting(port)) === "connected") await later(5);
    sending.send("st: localhost\r\n\r\n");
    recent.send(get("/quick"));
    await Promise.all([sending.answers(1), recent.answers(3)]);
    for (const { heads } of [sending, recent]) assert.match(heads.at(-1) ?? "", /\r\nconnection: close\r\n/i);
    await Promise.all([sending.closed, recent.closed]);
    assert.equal(running.received, "");
    assert.equal(release.length, 1);
    for (const answer of release) answer();
    await running.answers(1);
    assert.match(running.received, /slow/);
    await over;
    await old.closed;
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a connection that is not there yet is not accepted any more", async () => {
  const upstream = await startUpstream("cleartext");
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}` }),
  });
  try {
    const held = new Client(gateway).send(get("/"));
    await held.answers(1);
    const port = gateway.httpPort;
    const over = gateway.gateway.shutDown(5000);
    await later(20);
    let outcome = await outcomeOfConnecting(port);
    // Envoy is asked by its admin socket first.
    const end = Date.now() + 1000;
    while (engineUnderTest() === "envoy" && outcome === "connected" && Date.now() < end) {
      await later(5);
      outcome = await outcomeOfConnecting(port);
    }
    assert.equal(outcome, "ECONNREFUSED");
    await over;
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});
