import assert from "node:assert/strict";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Client, credentials } from "@grpc/grpc-js";
import { register } from "@grpc/grpc-js-xds";
import { createAdsServer } from "../../../../../src/engines/envoy/ads/server.ts";
import { type Snapshot, snapshotOf } from "../../../../../src/engines/envoy/ads/snapshot.ts";
import { resource } from "../../../../../src/engines/envoy/resources.ts";
import { pack } from "../../../../../src/protobuf/any.ts";
import { ClusterSchema } from "../../../../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../../../src/protobuf/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../../../../src/protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import { VirtualHostSchema } from "../../../../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../../../../src/protobuf/generated/envoy/config/route/v3/route_pb.js";
import { RouterSchema } from "../../../../../src/protobuf/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../../../../src/protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  Authorization,
  CheckRequestSchema,
  CheckResponseSchema,
} from "../../../../../src/protobuf/generated/envoy/service/auth/v3/external_auth_pb.js";
import { systemClock } from "../../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";

/** A gRPC server that answers with its own number. */
async function startService(t: TestContext, code: number): Promise<number> {
  const server: Http2Server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(Authorization, { check: () => create(CheckResponseSchema, { status: { code } }) }),
    }),
  );
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  return (server.address() as AddressInfo).port;
}

const ADS = { configSourceSpecifier: { case: "ads", value: {} }, resourceApiVersion: 2 } as const;

/** What a client without a proxy needs: an API listener by the target's name, and endpoints of its cluster. */
function world(port: number, previous?: Snapshot): Snapshot {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: "api",
    routeSpecifier: { case: "rds", value: { configSource: ADS, routeConfigName: "shop" } },
    httpFilters: [
      {
        name: "router",
        configType: { case: "typedConfig", value: pack(RouterSchema, create(RouterSchema)) },
      },
    ],
  });
  const listener = create(ListenerSchema, {
    name: "shop",
    apiListener: { apiListener: pack(HttpConnectionManagerSchema, manager) },
  });
  const host = create(VirtualHostSchema, {
    name: "shop/*",
    domains: ["*"],
    routes: [
      {
        match: { pathSpecifier: { case: "prefix", value: "" } },
        action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "up" } } },
      },
    ],
  });
  const cluster = create(ClusterSchema, {
    name: "up",
    clusterDiscoveryType: { case: "type", value: 3 },
    edsClusterConfig: { edsConfig: ADS },
  });
  const address = { address: "127.0.0.1", portSpecifier: { case: "portValue", value: port } } as const;
  const endpoints = create(ClusterLoadAssignmentSchema, {
    clusterName: "up",
    endpoints: [
      {
        locality: { region: "here" },
        loadBalancingWeight: 1,
        lbEndpoints: [
          {
            hostIdentifier: {
              case: "endpoint",
              value: { address: { address: { case: "socketAddress", value: address } } },
            },
          },
        ],
      },
    ],
  });
  const routes = create(RouteConfigurationSchema, { name: "shop", vhds: { configSource: ADS } });
  return snapshotOf(
    [
      resource("listener", "shop", listener, []),
      resource("route-configuration", "shop", routes, []),
      resource("virtual-host", "shop/*", host, []),
      resource("cluster", "up", cluster, []),
      resource("endpoints", "up", endpoints, []),
    ],
    previous,
  );
}

test("gRPC's own client without a proxy finds its server over the state of the world, and follows changes", async (t) => {
  const [first, second] = [await startService(t, 1), await startService(t, 2)];
  const ads = createAdsServer({
    clock: systemClock,
    logger: createLogger("silent"),
    authorize: () => ({ group: "all", identity: "test" }),
  });
  const { port } = await ads.listen({ address: "127.0.0.1", port: 0 });
  const before = world(first);
  ads.publish("all", before, "1");
  const bootstrap = {
    xds_servers: [
      {
        server_uri: `127.0.0.1:${port}`,
        channel_creds: [{ type: "insecure" }],
        server_features: ["xds_v3"],
      },
    ],
    node: { id: "proxyless", locality: {} },
  };
  register();
  const client = new Client("xds:///shop", credentials.createInsecure(), {
    // Version 1.14.1 does not get through with the environment's GRPC_XDS_BOOTSTRAP_CONFIG.
    "grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config": JSON.stringify(bootstrap),
  });
  t.after(async () => {
    client.close();
    await ads.close();
  });
  const ask = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        `/${Authorization.typeName}/Check`,
        () => Buffer.from(toBinary(CheckRequestSchema, create(CheckRequestSchema))),
        (bytes: Buffer) => fromBinary(CheckResponseSchema, bytes),
        {},
        { deadline: Date.now() + 20_000 },
        (error, answer) => (error === null ? resolve(answer?.status?.code) : reject(error)),
      );
    });
  assert.equal(await ask(), 1);
  assert.deepEqual(
    ads.clients.map(({ node, protocol }) => [node, protocol]),
    [["proxyless", "state-of-the-world"]],
  );
  ads.publish("all", world(second, before), "2");
  const end = Date.now() + 20_000;
  while ((await ask()) !== 2) {
    assert.ok(Date.now() < end, "the new endpoint is taken");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(
    ads.clients.map(({ nacks }) => nacks),
    [[]],
  );
});
