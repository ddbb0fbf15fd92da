import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { mappingYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startHosts } from "../support/hosts.ts";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import { startRawUpstream } from "../support/upstream.ts";
import { it } from "./engines.ts";

type Answer = (response: ServerResponse, nth: number, request: IncomingMessage, body: string) => void;

interface Tried {
  readonly gateway: RunningGateway;
  readonly url: string;
  /** What each try brought. */
  readonly bodies: string[];
}

/** A gateway before one server that answers the nth try as `answer` says. */
async function before(
  spec: Record<string, unknown>,
  answer: Answer,
  run: (tried: Tried) => Promise<void>,
): Promise<void> {
  const bodies: string[] = [];
  const hosts = await startHosts(1, (_address, response, request) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString("latin1");
    });
    request.on("end", () => {
      bodies.push(body);
      answer(response, bodies.length, request, body);
    });
  });
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", { prefix: "/", service: `127.0.0.1:${hosts.port}`, ...spec }),
  });
  try {
    await run({ gateway, bodies, url: `http://127.0.0.1:${gateway.httpPort}/` });
  } finally {
    await gateway.stop();
    hosts.close();
  }
}

const status =
  (code: number, text = String(code)) =>
  (response: ServerResponse) =>
    response.writeHead(code).end(text);

for (const [on, code, tries] of [
  ["5xx", 500, 3],
  ["5xx", 404, 1],
  ["gateway-error", 503, 3],
  ["gateway-error", 500, 1],
  ["retriable-4xx", 409, 3],
  ["retriable-4xx", 404, 1],
  ["connect-failure", 503, 1],
  ["refused-stream", 503, 1],
  ["retriable-status-codes", 503, 1],
] as const) {
  it(`retry_on ${on} meets ${code}: ${tries} tries`, () =>
    before({ retry_policy: { retry_on: on, num_retries: 2 } }, status(code), async ({ url, bodies }) => {
      const answer = await fetch(url);
      assert.equal(answer.status, code);
      assert.equal(await answer.text(), String(code), "the last answer goes through");
      assert.equal(bodies.length, tries);
    }));
}

it("the first good answer ends it, and a body of a POST is said again", () =>
  before(
    { retry_policy: { retry_on: "5xx", num_retries: 5 } },
    (response, nth, _request, body) =>
      nth < 3 ? response.writeHead(502).end() : response.end(body.toUpperCase()),
    async ({ url, bodies }) => {
      const answer = await fetch(url, { method: "POST", body: "hello" });
      assert.equal(await answer.text(), "HELLO");
      assert.deepEqual(bodies, ["hello", "hello", "hello"]);
    },
  ));

it("a chunked body is said again, too", () =>
  before(
    { retry_policy: { retry_on: "5xx" } },
    (response, nth, _request, body) => (nth === 1 ? response.writeHead(500).end() : response.end(body)),
    async ({ url }) => {
      const body = new Blob(["a".repeat(30_000), "b".repeat(30_000)]).stream();
      const answer = await fetch(url, { method: "POST", body, duplex: "half" } as RequestInit);
      assert.equal((await answer.text()).length, 60_000);
    },
  ));

it("a body of more than 64 KiB is said once", (skip) =>
  before({ retry_policy: { retry_on: "5xx", num_retries: 3 } }, status(503), async ({ url, bodies }) => {
    const answer = await fetch(url, { method: "POST", body: "x".repeat(skip === null ? 70_000 : 1_100_000) });
    assert.equal(answer.status, 503);
    assert.equal(bodies.length, 1);
  }));

it("no second try once the response has begun", () =>
  before(
    { retry_policy: { retry_on: "5xx", num_retries: 3 } },
    (response) => {
      response.writeHead(200, { "content-length": "10" });
      response.write("12345");
      setTimeout(() => response.destroy(), 20);
    },
    async ({ url, bodies }) => {
      await assert.rejects(async () => (await fetch(url)).text());
      assert.equal(bodies.length, 1);
    },
  ));

it("per_try_timeout: a try that hangs is given up for the next", () =>
  before(
    { retry_policy: { retry_on: "5xx", num_retries: 2, per_try_timeout: "100ms" } },
    (response, nth) => {
      if (nth === 2) response.end("second");
    },
    async ({ url }) => assert.equal(await (await fetch(url)).text(), "second"),
  ));

it("timeout_ms bounds all tries together", () =>
  before(
    { timeout_ms: 400, retry_policy: { retry_on: "5xx", num_retries: 50, per_try_timeout: "100ms" } },
    () => {},
    async ({ url, bodies }) => {
      const began = performance.now();
      assert.equal((await fetch(url)).status, 504);
      const took = performance.now() - began;
      assert.ok(took > 300 && took < 5_000, `${took} ms`);
      assert.ok(bodies.length >= 1 && bodies.length <= 4, `${bodies.length} tries`);
    },
  ));

it("a response that has begun may take longer than per_try_timeout", () =>
  before(
    { retry_policy: { retry_on: "5xx", per_try_timeout: "100ms" } },
    (response) => {
      response.write("be");
      setTimeout(() => response.end("gun"), 300);
    },
    async ({ url }) => assert.equal(await (await fetch(url)).text(), "begun"),
  ));

it("max_retries bounds the retries under way at once", () =>
  before(
    { retry_policy: { retry_on: "5xx", num_retries: 1 }, circuit_breakers: [{ max_retries: 0 }] },
    status(500),
    async ({ url, bodies }) => {
      assert.equal((await fetch(url)).status, 500);
      assert.equal(bodies.length, 1);
    },
  ));

it("a reset before the response is tried again where 5xx is asked for, POST included", async () => {
  let nth = 0;
  const upstream = await startRawUpstream((socket: Socket) => {
    socket.on("data", () => {
      if (++nth === 1) socket.resetAndDestroy();
      else socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", {
      prefix: "/",
      service: `127.0.0.1:${upstream.port}`,
      retry_policy: { retry_on: "gateway-error" },
    }),
  });
  const answer = await fetch(`http://127.0.0.1:${gateway.httpPort}/`, { method: "POST", body: "x" });
  assert.equal(await answer.text(), "ok");
  await gateway.stop();
  upstream.close();
});

it("another address is preferred, and every try is counted", async (skip) => {
  const hosts = await startHosts(3, (address, response) =>
    response.writeHead(address === "127.0.0.1" ? 503 : 200).end(address),
  );
  const gateway = await startGateway(
    {
      "m.yaml":
        mappingYaml("m", {
          prefix: "/",
          service: `svc.test:${hosts.port}`,
          retry_policy: { retry_on: "5xx", num_retries: 1 },
        }) +
        mappingYaml("down", {
          prefix: "/down/",
          service: "127.0.0.1:1",
          retry_policy: { retry_on: "connect-failure", num_retries: 2 },
        }),
    },
    { hosts: { "svc.test": hosts.addresses } },
  );
  const url = `http://127.0.0.1:${gateway.httpPort}/`;
  for (let turn = 0; turn < 12; turn++) assert.equal((await fetch(url)).status, 200);
  assert.ok((hosts.seen["127.0.0.1"] ?? 0) > 0);
  assert.equal((await fetch(`${url}down/`)).status, 503);
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const counted = /^credence_upstream_retries_total (\d+)/m.exec(metrics)?.[1];
  const retries = (hosts.seen["127.0.0.1"] ?? 0) + 2;
  assert.equal(counted, skip === null ? String(retries) : undefined);
  await gateway.stop();
  hosts.close();
});

/** A gateway before raw bytes: `onHead` is called for each request's head. */
async function beforeRaw(
  onHead: (socket: Socket, nth: number) => void,
  run: (gateway: RunningGateway, received: () => string) => Promise<void>,
): Promise<void> {
  let nth = 0;
  let received = "";
  const upstream = await startRawUpstream((socket) => {
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      if (text.startsWith("POST")) {
        received = "";
        onHead(socket, ++nth);
      }
      received += text;
      if (received.endsWith("1234567890") && nth > 1)
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", {
      prefix: "/",
      service: `127.0.0.1:${upstream.port}`,
      retry_policy: { retry_on: "5xx", num_retries: 2 },
    }),
  });
  try {
    await run(gateway, () => received);
  } finally {
    await gateway.stop();
    upstream.close();
  }
}

const UNAVAILABLE = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";

it("an answer while the body still comes: what is held is said again, the rest follows", () =>
  beforeRaw(
    (socket, nth) => {
      if (nth === 1) socket.write(UNAVAILABLE);
    },
    async (gateway, received) => {
      const text = await exchangeBytes(
        gateway.httpPort,
        [`${POST}123`, "45", ...Array<string>(30).fill(""), "678", "90"],
        { until: /ok$/ },
      );
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.match(received(), /\r\n\r\n1234567890$/);
    },
  ));

it("an interim response that has gone out leaves no second try", () =>
  beforeRaw(
    (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\n\r\n${UNAVAILABLE}`),
    async (gateway) => {
      const text = await exchangeBytes(gateway.httpPort, `${POST}1234567890`, {
        until: / 503 [\s\S]*\r\n\r\n/,
      });
      assert.deepEqual(
        parseAnswers(text).map(({ status }) => status),
        [103, 503],
      );
    },
  ));
