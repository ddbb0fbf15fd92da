import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { mappingYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startHosts } from "../support/hosts.ts";
import { exchangeBytes } from "../support/raw-client.ts";
import { startRawUpstream } from "../support/upstream.ts";
import { it } from "./engines.ts";

async function before(
  spec: Record<string, unknown>,
  onRequest: (socket: Socket, text: string) => void,
  run: (gateway: RunningGateway, url: string) => Promise<void>,
): Promise<void> {
  const upstream = await startRawUpstream((socket) => {
    socket.on("data", (chunk) => onRequest(socket, chunk.toString("latin1")));
  });
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", { prefix: "/", service: `127.0.0.1:${upstream.port}`, ...spec }),
  });
  try {
    await run(gateway, `http://127.0.0.1:${gateway.httpPort}/`);
  } finally {
    await gateway.stop();
    upstream.close();
  }
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Answers the first request when it is told to, every other at once. */
function holding(): {
  readonly onRequest: (socket: Socket) => void;
  readonly arrived: Promise<void>;
  release(): void;
} {
  const { promise: arrived, resolve } = Promise.withResolvers<void>();
  let first: Socket | null = null;
  return {
    arrived,
    onRequest: (socket) => {
      if (first !== null) socket.write(OK);
      else {
        first = socket;
        resolve();
      }
    },
    release: () => first?.write(OK),
  };
}

it("max_requests: 503 while one is in flight, with its reason, and the next is served", () => {
  const { onRequest, arrived, release } = holding();
  return before(
    { circuit_breakers: [{ max_requests: 1 }], timeout_ms: 0 },
    onRequest,
    async (gateway, url) => {
      const first = fetch(url);
      await arrived;
      assert.equal((await fetch(url)).status, 503);
      assert.equal((await gateway.diag()).failures[0]?.reason, "overloaded");
      release();
      assert.equal((await first).status, 200);
      assert.equal((await fetch(url)).status, 200);
    },
  );
});

it("max_connections: requests wait for their turn", () => {
  const { onRequest, arrived, release } = holding();
  const spec = { circuit_breakers: [{ max_connections: 1, max_pending_requests: 2 }], timeout_ms: 0 };
  return before(spec, onRequest, async (_gateway, url) => {
    const first = fetch(url);
    await arrived;
    const rest = [fetch(url), fetch(url), fetch(url)];
    assert.equal((await Promise.race(rest)).status, 503);
    release();
    const statuses = (await Promise.all([first, ...rest])).map(({ status }) => status);
    assert.deepEqual(statuses.sort(), [200, 200, 200, 503]);
  });
});

it("one who waits for a connection and goes away is forgotten", () =>
  before(
    { circuit_breakers: [{ max_connections: 1 }], timeout_ms: 150 },
    (socket, text) => {
      if (!text.includes("/hang")) socket.write(OK);
    },
    async (_gateway, url) => {
      const statuses = await Promise.all([fetch(`${url}hang`), fetch(url), fetch(url)]);
      assert.equal(statuses[0]?.status, 504);
      assert.equal((await fetch(url)).status, 200);
    },
  ));

it("idle_timeout_ms: silence before the response is 504", () =>
  before(
    { idle_timeout_ms: 150, timeout_ms: 0 },
    () => {},
    async (gateway, url) => {
      assert.equal((await fetch(url)).status, 504);
      const [failure] = (await gateway.diag()).failures;
      assert.equal(failure?.reason, "upstream_response_timeout");
      assert.match(failure?.cause ?? "", /no byte either way within 150 ms/);
    },
  ));

it("idle_timeout_ms: a response that goes on is left alone, one that stops is cut", () =>
  before(
    { idle_timeout_ms: 600, timeout_ms: 0 },
    (socket, text) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n1");
      let sent = 1;
      const timer = setInterval(() => {
        if (++sent === 4 && text.includes("/stop")) clearInterval(timer);
        else socket.write(String(sent));
        if (sent === 6) clearInterval(timer);
      }, 100);
    },
    async (_gateway, url) => {
      assert.equal(await (await fetch(`${url}go`)).text(), "123456");
      await assert.rejects(async () => (await fetch(`${url}stop`)).text());
    },
  ));

it("idle_timeout_ms holds for a tunnel", () =>
  before(
    { idle_timeout_ms: 150, allow_upgrade: ["websocket"] },
    (socket, text) => {
      if (text.startsWith("GET"))
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      else socket.write(text);
    },
    async (gateway) => {
      const upgrade =
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
      const began = performance.now();
      const received = await exchangeBytes(gateway.httpPort, [upgrade, "ping"]);
      assert.match(received, /ping$/);
      const took = performance.now() - began;
      assert.ok(took > 140 && took < 20_000, `${took} ms`);
    },
  ));

it("outlier_detection: an address that answers 503 again and again gets nothing for a while", async () => {
  const hosts = await startHosts(3, (address, response) =>
    response.writeHead(address === "127.0.0.2" ? 503 : 200).end(),
  );
  const gateway = await startGateway(
    {
      "m.yaml": mappingYaml("m", {
        prefix: "/",
        service: `svc.test:${hosts.port}`,
        outlier_detection: { consecutive_gateway_failure: 2, base_ejection_time_ms: 60_000 },
      }),
    },
    { hosts: { "svc.test": hosts.addresses } },
  );
  const statuses: number[] = [];
  for (let turn = 0; turn < 30; turn++)
    statuses.push((await fetch(`http://127.0.0.1:${gateway.httpPort}/`)).status);
  assert.equal(statuses.filter((status) => status === 503).length, 2);
  assert.equal(hosts.seen["127.0.0.2"], 2);
  await gateway.stop();
  hosts.close();
});
