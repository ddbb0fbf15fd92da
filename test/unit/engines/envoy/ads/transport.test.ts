import assert from "node:assert/strict";
import { connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { listen } from "../../../../../src/engines/envoy/ads/transport.ts";
import { AggregatedDiscoveryService } from "../../../../../src/protobuf/generated/envoy/service/discovery/v3/ads_pb.js";
import { systemClock } from "../../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";

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
