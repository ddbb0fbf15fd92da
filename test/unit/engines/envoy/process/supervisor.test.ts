import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { bootstrapOf } from "../../../../../src/engines/envoy/process/bootstrap.ts";
import { findEnvoy } from "../../../../../src/engines/envoy/process/find.ts";
import type { JsonObject } from "../../../../../src/engines/envoy/process/json.ts";
import {
  createRunDirectory,
  type RunDirectory,
} from "../../../../../src/engines/envoy/process/run-directory.ts";
import { EnvoySupervisor } from "../../../../../src/engines/envoy/process/supervisor.ts";
import { systemClock } from "../../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";
import { eventually, fetchText } from "../../../../cli/credence.ts";
import { handClock } from "../../../../support/clock.ts";
import { freePort } from "../../../../support/free-port.ts";

/** An upstream whose `/slow` waits for `release`. */
async function startUpstream(
  t: TestContext,
): Promise<{ server: Server; port: number; release(): void; waiting(): number }> {
  const held: (() => void)[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/slow") held.push(() => response.end("slow answer"));
    else response.end("answer");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    server,
    port: (server.address() as AddressInfo).port,
    release: () => {
      for (const each of held.splice(0)) each();
    },
    waiting: () => held.length,
  };
}

/** An Envoy with one listener and one route, without a control plane. */
async function supervised(t: TestContext, upstreamPort: number) {
  const directory = createRunDirectory();
  const port = await freePort();
  const lines: { level: number; msg: string; envoy?: string }[] = [];
  const supervisor = new EnvoySupervisor({
    drainSeconds: 1,
    path: (await findEnvoy({ environment: process.env })).path,
    bootstrap: staticGateway(directory, port, upstreamPort),
    directory,
    concurrency: 1,

    logger: createLogger("info", { write: (line: string) => lines.push(JSON.parse(line)) }),
    clock: systemClock,
  });
  t.after(async () => {
    await supervisor.stop();
    directory.remove();
  });
  supervisor.start();
  assert.ok(await supervisor.live(20_000));
  return { supervisor, port, lines };
}

function staticGateway(directory: RunDirectory, port: number, upstreamPort: number): JsonObject {
  const {
    dynamic_resources: _,
    static_resources: __,
    ...rest
  } = bootstrapOf({
    nodeId: "test",
    nodeCluster: "test",
    xds: { socket: directory.xdsSocket },
    admin: { socket: directory.adminSocket },
    maxConnections: 100,
  });
  const address = (at: number) => ({ socket_address: { address: "127.0.0.1", port_value: at } });
  return {
    ...rest,
    static_resources: {
      clusters: [
        {
          name: "up",
          connect_timeout: "1s",
          load_assignment: {
            cluster_name: "up",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstreamPort) } }] }],
          },
        },
      ],
      listeners: [
        {
          name: "http",
          address: address(port),
          filter_chains: [
            {
              filters: [
                {
                  name: "http",
                  typed_config: {
                    "@type":
                      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    stat_prefix: "http",
                    http_filters: [
                      {
                        name: "router",
                        typed_config: {
                          "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                        },
                      },
                    ],
                    route_config: {
                      virtual_hosts: [
                        {
                          name: "all",
                          domains: ["*"],
                          routes: [{ match: { prefix: "/" }, route: { cluster: "up", timeout: "0s" } }],
                        },
                      ],
                    },
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  };
}

test("an Envoy that ends by itself is started again, and it is said", async (t) => {
  const upstream = await startUpstream(t);
  const { supervisor, port, lines } = await supervised(t, upstream.port);
  assert.equal((await fetchText(`http://127.0.0.1:${port}/`)).body, "answer");
  const { pid, starts } = supervisor.state;
  assert.equal(starts, 1);
  process.kill(pid as number, "SIGKILL");
  await eventually(() => supervisor.state.starts === 2 && supervisor.state.phase === "live");
  assert.notEqual(supervisor.state.pid, pid);
  assert.equal(supervisor.state.lastEnd, "signal SIGKILL");
  assert.equal((await fetchText(`http://127.0.0.1:${port}/`)).body, "answer");
  assert.ok(lines.some(({ level, msg }) => level === 50 && msg.startsWith("Envoy ended by itself")));
});

test("drain lets a request in flight end, tells its client to leave, and takes no new connection", async (t) => {
  const upstream = await startUpstream(t);
  const { supervisor, port } = await supervised(t, upstream.port);
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.setEncoding("utf8").on("data", (piece) => {
    received += piece;
  });
  socket.write("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
  await eventually(() => upstream.waiting() === 1);
  const drained = supervisor.drain(20_000);
  await eventually(async () => {
    try {
      await fetchText(`http://127.0.0.1:${port}/`);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
    }
  });
  let over = false;
  void drained.then(() => {
    over = true;
  });
  assert.equal(over, false);
  upstream.release();
  await drained;
  assert.match(received, /^HTTP\/1\.1 200 /);
  assert.match(received, /\r\nconnection: close\r\n/i);
  assert.ok(received.endsWith("slow answer"));
  assert.notEqual(supervisor.state.pid, null, "it is stopped by stop, not by drain");
});

test("drain gives up on what does not end; stop ends the process", async (t) => {
  const upstream = await startUpstream(t);
  const { supervisor, port } = await supervised(t, upstream.port);
  const slow = fetchText(`http://127.0.0.1:${port}/slow`).catch(() => "cut");
  await eventually(() => upstream.waiting() === 1);
  const started = performance.now();
  await supervisor.drain(700);
  assert.ok(performance.now() - started >= 650);
  const { pid } = supervisor.state;
  await supervisor.stop();
  assert.equal(await slow, "cut");
  assert.throws(() => process.kill(pid as number, 0), { code: "ESRCH" });
});

test("a first start that takes too long is none that goes well, and whoever listens is told", async (t) => {
  const directory = createRunDirectory();
  const path = join(directory.path, "never-ready");
  writeFileSync(path, "#!/bin/sh\nexec sleep 60\n", { mode: 0o700 });
  const clock = handClock();
  const supervisor = new EnvoySupervisor({
    drainSeconds: 1,
    ...{ path, bootstrap: {}, directory, clock },
    logger: createLogger("silent"),
  });
  t.after(async () => {
    await supervisor.stop();
    directory.remove();
  });
  let told = 0;
  supervisor.onProblems(() => told++);
  supervisor.start();
  clock.move(19_000);
  assert.deepEqual([supervisor.isStarting, supervisor.down, told], [true, "Envoy is starting", 0]);
  clock.move(1_000);
  assert.deepEqual([supervisor.isStarting, told], [false, 1]);
  assert.match(supervisor.down ?? "", /starting for 20 seconds/);
});
