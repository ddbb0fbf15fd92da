import assert from "node:assert/strict";
import { connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { listen } from "../../../../../src/engines/envoy/ads/transport.ts";
import { AggregatedDiscoveryService } from "../../../../../src/protobuf/generated/envoy/service/discovery/v3/ads_pb.js";
import { systemClock } from "../../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";
import { until } from "../../../../support/until.ts";

const METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

test("a request whose authority or path is no part of a URL costs that stream at most, never the process", async () => {
  const server = await listen(
    { address: "127.0.0.1", port: 0 },
    (router) =>
      router.service(AggregatedDiscoveryService, {
        async *deltaAggregatedResources() {},
      }),
    createLogger("silent"),
    systemClock,
  );
  const session = connect("http://localhost", {
    createConnection: () => connectTcp(server.port as number, "127.0.0.1"),
  });
  const ask = (authority: string, path: string): Promise<string> =>
    new Promise((resolve) => {
      const stream = session.request({
        ":method": "POST",
        ":authority": authority,
        ":path": path,
        "content-type": "application/grpc",
      });
      stream.on("response", (headers) => resolve(`status ${headers[":status"]}`));
      stream.on("error", () => resolve(`error ${stream.rstCode}`));
      stream.resume().end();
    });
  try {
    // What gRPC's C core says of unix:tmp/credence/xds.sock.
    assert.equal(await ask("tmp%2Fcredence%2Fxds.sock", METHOD), "status 200");
    assert.equal(await ask("localhost", "//["), "status 404");
    assert.equal(await ask("localhost", METHOD), "status 200");
  } finally {
    session.destroy();
    await server.close();
  }
});

test("clients that have answered are not gone after a time in which the server itself was held up", async () => {
  const server = await listen(
    { address: "127.0.0.1", port: 0, keepaliveMs: KEEPALIVE_MS },
    () => {},
    createLogger("silent"),
    systemClock,
  );
  // A thread of its own, which answers while this one does not run.
  const client = new Worker(CLIENT, { eval: true, workerData: server.port });
  const said: string[] = [];
  client.on("message", (message: string) => said.push(message));
  try {
    await until(() => said.includes("connected"));
    // One turn of the event loop, and a long time until the next: a question goes out, and its answer waits to be read.
    for (let turn = 0; turn < 10; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * KEEPALIVE_MS);
    }
    const before = said.length;
    await until(() => said.length > before || said.includes("closed"));
    assert.deepEqual([...new Set(said)], ["connected", "asked"]);
  } finally {
    await client.terminate();
    await server.close();
  }
});

const KEEPALIVE_MS = 100;

const CLIENT = `
  const { connect } = require("node:http2");
  const { parentPort, workerData } = require("node:worker_threads");
  const session = connect("http://127.0.0.1:" + workerData);
  const say = (message) => () => parentPort.postMessage(message);
  session.on("connect", say("connected"));
  session.on("ping", say("asked"));
  session.on("error", say("failed"));
  session.on("close", say("closed"));
`;
