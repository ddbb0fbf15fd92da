import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { type TestContext, test } from "node:test";
import { createAdsServer } from "../../../../src/engines/envoy/ads/server.ts";
import { createEnvoyEngine, type EnvoyEngine } from "../../../../src/engines/envoy/engine.ts";
import { createRunDirectory } from "../../../../src/engines/envoy/process/run-directory.ts";
import type { ApplyReport } from "../../../../src/engines/engine.ts";
import type { GatewayModel, Revision } from "../../../../src/model/gateway.ts";
import { type Clock, systemClock } from "../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { handClock } from "../../../support/clock.ts";
import { DeltaClient } from "../../../support/delta-client.ts";
import { freePort } from "../../../support/free-port.ts";
import { until } from "../../../support/until.ts";

/** The http listener, and another one where a port is said. */
function revision(number: number, port?: number): Revision {
  const listener = { address: "127.0.0.1", transport: "cleartext", action: "serve" } as const;
  const model: GatewayModel = {
    http: {} as GatewayModel["http"],
    listeners: [
      { ...listener, name: "http", port: 0 },
      ...(port === undefined ? [] : [{ ...listener, name: "other", port }]),
    ],
    virtualHosts: [],
    routes: [],
    clusters: [],
  };
  return { number, hash: String(number), model };
}

/** An engine whose own process acknowledges everything at once; its sockets are the test's to open and close. */
async function start(t: TestContext, clock: Clock): Promise<{ engine: EnvoyEngine; client: DeltaClient }> {
  const directory = createRunDirectory();
  const logger = createLogger("silent");
  const ads = createAdsServer({
    clock: systemClock,
    logger,
    authorize: () => ({ group: "all", identity: "test" }),
  });
  await ads.listen({ path: directory.xdsSocket });
  const client = new DeltaClient({ path: directory.xdsSocket, node: "own" });
  client.subscribeAll("cluster");
  client.subscribeAll("listener");
  client.subscribe("route-configuration", ["http", "other"]);
  client.subscribeAll("virtual-host");
  const engine = createEnvoyEngine({
    ads,
    group: "all",
    credentials: {
      credential: () => undefined,
      trust: () => undefined,
      crl: () => undefined,
      onChange: () => () => undefined,
    },
    logger,
    clock,
    proxies: {
      openListeners: async () => new Set(client.held.listener.keys()),
      drain: async () => undefined,
      stop: async () => undefined,
    },
  });
  await client.until(() => engine.fleet.length === 1);
  t.after(async () => {
    await client.close();
    await engine.stop();
    await ads.close();
    directory.remove();
  });
  return { engine, client };
}

async function occupy(t: TestContext, port = 0): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen(port, "127.0.0.1", resolve),
  );
  t.after(() => server.close());
  return server;
}

const portOf = (report: ApplyReport): number | undefined =>
  report.listeners.find(({ name }) => name === "other")?.port;

test("a listener that comes back while Envoy has not closed its socket yet is served, and no port is reported taken", async (t) => {
  const clock = handClock();
  const { engine, client } = await start(t, clock);
  const port = await freePort();
  assert.equal(portOf(await engine.apply(revision(1, port))), port);
  await occupy(t, port);
  let isApplied = false;
  const gone = engine.apply(revision(2)).then((report) => {
    isApplied = true;
    return report;
  });
  await until(() => {
    clock.move(100);
    return isApplied;
  });
  assert.equal(portOf(await gone), undefined);
  assert.equal(client.held.listener.has("other"), false);
  const back = await engine.apply(revision(3, port));
  assert.deepEqual(back.problems, []);
  assert.equal(portOf(back), port);
  assert.equal(client.held.listener.has("other"), true);
});

test("a revision without a listener serves once Envoy has closed its socket", async (t) => {
  const { engine, client } = await start(t, systemClock);
  const port = await freePort();
  await engine.apply(revision(1, port));
  const socket = await occupy(t, port);
  const order: string[] = [];
  const applied = engine.apply(revision(2)).then(() => order.push("applied"));
  await client.until(() => !client.held.listener.has("other"));
  await client.until(() => engine.fleet[0]?.revision === "2");
  socket.close(() => order.push("closed"));
  await applied;
  assert.deepEqual(order, ["closed", "applied"]);
});

test("a port that somebody else has taken meanwhile is reported, and one that may be any is another then", async (t) => {
  const { engine } = await start(t, systemClock);
  const [any, fixed] = [portOf(await engine.apply(revision(1, 0))), await freePort()];
  await engine.apply(revision(2));
  await Promise.all([occupy(t, any), occupy(t, fixed)]);
  const moved = await engine.apply(revision(3, 0));
  assert.deepEqual(moved.problems, []);
  assert.notEqual(portOf(moved), any);
  assert.ok((portOf(moved) ?? 0) > 0);
  const refused = await engine.apply(revision(4, fixed));
  assert.deepEqual(
    refused.problems.map(({ code, subject }) => [code, subject]),
    [["listener-port-unavailable", "other"]],
  );
});
