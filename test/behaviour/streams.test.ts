import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { mappingYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers, type RawAnswer } from "../support/raw-client.ts";
import { startRawUpstream } from "../support/upstream.ts";
import { it } from "./engines.ts";

const get = "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** A gateway before an upstream that says exactly what `onRequest` writes once a head has come. */
async function before(
  onRequest: (socket: Socket, nth: number) => void,
  run: (gateway: RunningGateway) => Promise<void>,
  options: { mapping?: Record<string, unknown>; gateway?: Parameters<typeof startGateway>[1] } = {},
): Promise<void> {
  let nth = 0;
  const upstream = await startRawUpstream((socket) => {
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      for (let blank = received.indexOf("\r\n\r\n"); blank !== -1; blank = received.indexOf("\r\n\r\n")) {
        received = received.slice(blank + 4);
        onRequest(socket, ++nth);
      }
    });
  });
  const gateway = await startGateway(
    {
      "m.yaml": mappingYaml("m", { prefix: "/", service: `127.0.0.1:${upstream.port}`, ...options.mapping }),
    },
    options.gateway,
  );
  try {
    await run(gateway);
  } finally {
    await gateway.stop();
    upstream.close();
  }
}

/** Each must come out as 502: the client behind us could read it differently (RFC 9112 §6.3, §11.1). */
const INVALID_RESPONSES: Readonly<Record<string, string>> = {
  "two Content-Lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
  "Content-Length beside chunked":
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "a space before the colon": "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
  "a folded line": "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
  "a NUL": "HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 0\r\n\r\n",
  "a control character in its reason": "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
  "a bare LF behind its status line": "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
  "bare LFs throughout": "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
  "answer in another protocol, which waits for more": "SSH-2.0-OpenSSH_9.2\r\n",
  "chunks in HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "chunked 204": "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "chunked 103":
    "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  "a head without bound": `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(70_000)}`,
  "no status line": "hello\r\n\r\n",
  "101 unasked": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
  "a bad chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
};
/** Where an engine does otherwise (skips.ts): what it answers. */
const OTHERWISE: Readonly<Record<string, number>> = {
  "a folded line": 200,
  "a bare LF behind its status line": 200,
  "bare LFs throughout": 200,
  "chunks in HTTP/1.0": 200,
  "101 unasked": 101,
  // Cut: the head has gone out.
  "a bad chunk": 200,
};
for (const [name, response] of Object.entries(INVALID_RESPONSES)) {
  it(`an upstream's ${name}: 502`, (skip) =>
    before(
      (socket) => {
        socket.write(response, "latin1");
        if (skip !== null && name === "a head without bound") socket.write("a".repeat(20_000));
      },
      async (gateway) => {
        const received = await exchangeBytes(gateway.httpPort, get);
        const status = skip === null ? 502 : (OTHERWISE[name] ?? 502);
        assert.equal(parseAnswers(received)[0]?.status, status);
        if (status !== 502 && name !== "a bad chunk") return;
        assert.doesNotMatch(received, /\r\n0\r\n\r\n$/);
        assert.equal((await gateway.diag()).failures[0]?.reason, "upstream_invalid_response");
      },
    ));
}

it("a body that ends with the connection is framed anew, so that the client can tell its end", () =>
  before(
    (socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nhello"),
    async (gateway) => {
      const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/`);
      assert.equal(response.headers.get("transfer-encoding"), "chunked");
      assert.equal(await response.text(), "hello");
    },
  ));

it("a response cut short is never completed for the client", (skip) =>
  before(
    (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
    async (gateway) => {
      await assert.rejects(async () => (await fetch(`http://127.0.0.1:${gateway.httpPort}/`)).text());
      assert.equal(
        (await gateway.diag()).failures[0]?.reason,
        skip === null ? "upstream_reset" : "upstream_invalid_response",
      );
    },
  ));

it("103 goes on, a 100 that nobody waits for does not", (skip) =>
  before(
    (socket) =>
      socket.write(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      ),
    async (gateway) => {
      const answers = parseAnswers(await exchangeBytes(gateway.httpPort, get));
      assert.deepEqual(
        answers.map(({ status }) => status),
        skip === null ? [103, 200] : [100, 200],
      );
    },
  ));

it("interim responses without end are held back by a client that does not read", () => {
  let written = 0;
  const interim = `HTTP/1.1 103 Early Hints\r\nLink: </${"a".repeat(4000)}>\r\n\r\n`;
  const flood = (socket: Socket): void => {
    while (socket.writable && written < 2 ** 30) {
      written += interim.length;
      if (!socket.write(interim)) return;
    }
  };
  return before(
    (socket) => {
      socket.on("drain", () => flood(socket));
      flood(socket);
    },
    async (gateway) => {
      const client = connect(gateway.httpPort, "127.0.0.1");
      client.on("error", () => {}).pause();
      client.write(get);
      await new Promise((resolve) => setTimeout(resolve, 700));
      client.destroy();
      assert.ok(written < 64 * 1024 * 1024, `${written} bytes were taken from the upstream`);
    },
    { mapping: { timeout_ms: 0 } },
  );
});

it("a client that ends its side behind its requests gets all of its answers, and the connection ends", (skip) =>
  before(
    (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    async (gateway) => {
      const answered = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
      const unknown = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
      const cut = "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab";
      const statuses = async (bytes: string) =>
        (await saidAtOnce(gateway, bytes)).map(({ status }) => status);
      const [all, last] = [await statuses(answered.repeat(3)), await statuses(unknown.repeat(3) + cut)];
      // Envoy may learn of the end a moment after the requests: what it has answered by then was answered.
      assert.deepEqual(all, [200, 200, 200].slice(0, skip === null ? 3 : all.length));
      assert.deepEqual(last, [404, 404, 404, 499].slice(0, skip === null ? 4 : Math.min(last.length, 3)));
    },
    { mapping: { prefix: "/x" } },
  ));

it("a client that ends its side behind an upgrade leaves no tunnel", () =>
  before(
    (socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    async (gateway) => {
      const upgrade =
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
      await saidAtOnce(gateway, `${upgrade}bye`);
    },
    { mapping: { use_websocket: true } },
  ));

/** The answers to a client that says all it has to say in one go, once the gateway has closed the connection. */
async function saidAtOnce({ httpPort }: RunningGateway, bytes: string): Promise<RawAnswer[]> {
  const client = connect({ port: httpPort, host: "127.0.0.1", allowHalfOpen: true });
  client.setTimeout(30_000, () => client.destroy(new Error("the gateway keeps the connection open")));
  client.end(bytes);
  let received = "";
  for await (const chunk of client) received += String(chunk);
  return parseAnswers(received);
}

it("timeout_ms: 504, and the upstream connection is not used again", () =>
  before(
    (socket, nth) => {
      if (nth > 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    },
    async (gateway) => {
      const url = `http://127.0.0.1:${gateway.httpPort}/`;
      const response = await fetch(url);
      assert.equal(response.status, 504);
      const { id } = (await response.json()) as { id: string };
      const failure = (await gateway.diag()).failures.find((record) => record.id === id);
      assert.equal(failure?.reason, "upstream_response_timeout");
      assert.equal((await fetch(url)).status, 200);
    },
    { mapping: { timeout_ms: 200 } },
  ));

it("a pooled connection that closes as we write is replaced: GET is sent again, POST is not", () =>
  before(
    (socket, nth) => {
      // First request answered; the second on the same connection meets its end.
      if (nth === 1 || nth === 3) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      else if (nth === 2 || nth === 4) socket.destroy();
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    },
    async (gateway) => {
      const url = `http://127.0.0.1:${gateway.httpPort}/`;
      assert.equal((await fetch(url)).status, 200);
      assert.equal((await fetch(url)).status, 200, "retried");
      assert.equal((await fetch(url, { method: "POST", body: "x" })).status, 503, "not retried");
    },
  ));

it("a WebSocket upgrade becomes a tunnel, bytes behind the heads included", () =>
  before(
    (socket) => {
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst|",
      );
      socket.removeAllListeners("data");
      socket.on("data", (chunk) => socket.write(chunk));
    },
    async (gateway) => {
      const upgrade =
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
      const received = await exchangeBytes(gateway.httpPort, [upgrade, "ping|", "pong|"], {
        until: /pong\|/,
      });
      assert.match(received, /^HTTP\/1\.1 101 /);
      assert.match(received, /first\|.*ping\|pong\|$/s);
    },
    { mapping: { use_websocket: true } },
  ));

it("bodies of 8 MiB go through whole both ways, while each side is slow", async () => {
  const payload = randomBytes(8 * 1024 * 1024);
  const digest = createHash("sha256").update(payload).digest("hex");
  const server = createServer((request, response) => {
    const hash = createHash("sha256");
    request.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      // A slow reader: the gateway has to hold the client back.
      request.pause();
      setTimeout(() => request.resume(), 1);
    });
    request.on("end", () => {
      response.setHeader("x-received", hash.digest("hex"));
      response.end(payload);
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", { prefix: "/", service: `127.0.0.1:${port}`, timeout_ms: 0 }),
  });
  try {
    const received = await new Promise<{ up: string; down: string }>((resolve, reject) => {
      const request = httpRequest(
        { port: gateway.httpPort, method: "POST", headers: { "transfer-encoding": "chunked" } },
        (response) => {
          const hash = createHash("sha256");
          response.on("data", (chunk: Buffer) => {
            hash.update(chunk);
            response.pause();
            setTimeout(() => response.resume(), 1);
          });
          response.on("end", () =>
            resolve({ up: String(response.headers["x-received"]), down: hash.digest("hex") }),
          );
        },
      );
      request.on("error", reject);
      request.end(payload);
    });
    assert.deepEqual(received, { up: digest, down: digest });
  } finally {
    await gateway.stop();
    server.close();
  }
});

it("a client that does not read holds the upstream back instead of filling memory", async () => {
  let written = 0;
  const upstream = await startRawUpstream((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
      const block = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (socket.writable && written < 2 ** 30) {
          written += block.length;
          if (!socket.write(block)) return;
        }
      };
      socket.on("drain", more);
      more();
    });
  });
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", { prefix: "/", service: `127.0.0.1:${upstream.port}`, timeout_ms: 0 }),
  });
  const client = connect(gateway.httpPort, "127.0.0.1");
  try {
    client.on("error", () => {}).pause();
    client.write(get);
    await new Promise((resolve) => setTimeout(resolve, 700));
    // Socket buffers of both hops, and no more: loopback buffers grow to some MiB.
    assert.ok(written < 64 * 1024 * 1024, `${written} bytes were taken from the upstream`);
  } finally {
    client.destroy();
    await gateway.stop();
    upstream.close();
  }
});

it("draining finishes what is in flight, says Connection: close, and then is done", () =>
  before(
    (socket) => setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), 300),
    async (gateway) => {
      const answer = exchangeBytes(gateway.httpPort, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await new Promise((resolve) => setTimeout(resolve, 100));
      const started = Date.now();
      await gateway.gateway.shutDown(30_000);
      assert.ok(Date.now() - started < 20_000);
      const [response] = parseAnswers(await answer);
      assert.equal(response?.status, 200);
      assert.equal(response?.body, "ok");
      assert.match(response?.head ?? "", /connection: close/);
    },
  ));

it("a head that comes drop by drop has no more time than any other: 408", () =>
  before(
    () => {},
    async (gateway) => {
      const drops = Array.from({ length: 900 }, () => "X-A: b\r\n");
      const received = await exchangeBytes(gateway.httpPort, ["GET / HTTP/1.1\r\nHost: a\r\n", ...drops], {
        until: /\r\n\r\n/,
      });
      assert.equal(parseAnswers(received)[0]?.status, 408);
    },
    { gateway: { limits: { headTimeoutMs: 300, maxHeaders: 1000 } } },
  ));

it("beyond the bounds: a fast 503, a closed connection, never growth", (skip) =>
  before(
    () => {},
    async (gateway) => {
      const url = `http://127.0.0.1:${gateway.httpPort}/`;
      const waiting = [fetch(url), fetch(url)].map((pending) =>
        pending.then((response) => response.status).catch(() => 0),
      );
      await new Promise((resolve) => setTimeout(resolve, 150));
      const third = await fetch(url);
      assert.equal(third.status, 503);
      assert.equal((await gateway.diag()).failures[0]?.reason, "overloaded");
      assert.deepEqual(await Promise.all(waiting), [504, 504]);
    },
    skip === null
      ? { mapping: { timeout_ms: 600 }, gateway: { limits: { maxRequestsInFlight: 2 } } }
      : { mapping: { timeout_ms: 600, circuit_breakers: [{ max_requests: 2 }] } },
  ));

it("a 204 goes on without the Content-Length that it may not have", () =>
  before(
    (socket) => {
      socket.write("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX-Kept: yes\r\n\r\n");
    },
    async (gateway) => {
      const received = await exchangeBytes(gateway.httpPort, [
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      ]);
      assert.match(received, /^HTTP\/1\.1 204 [\s\S]*x-kept: yes/i);
      assert.doesNotMatch(received, /content-length/i);
    },
  ));
