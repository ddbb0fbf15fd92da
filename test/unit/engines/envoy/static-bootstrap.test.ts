import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { findEnvoy } from "../../../../src/engines/envoy/process/find.ts";
import { validateBootstrap } from "../../../../src/engines/envoy/process/validate.ts";
import { resource, type XdsResource } from "../../../../src/engines/envoy/resources.ts";
import { staticBootstrap } from "../../../../src/engines/envoy/static-bootstrap.ts";
import { pack } from "../../../../src/protobuf/any.ts";
import { ClusterSchema } from "../../../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../../../src/protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import { VirtualHostSchema } from "../../../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../../../src/protobuf/generated/envoy/config/route/v3/route_pb.js";
import { RouterSchema } from "../../../../src/protobuf/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../../../src/protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";

const ADS = { configSourceSpecifier: { case: "ads" as const, value: {} } };
const secret = (name: string) => ({ name, sdsConfig: ADS });

function gateway({ cluster = "up", prefix = "/" } = {}): XdsResource[] {
  const downstream = create(DownstreamTlsContextSchema, {
    commonTlsContext: {
      tlsCertificateSdsSecretConfigs: [secret("credential:secret/default/edge")],
      validationContextType: {
        case: "validationContextSdsSecretConfig",
        value: secret("trust:secret/default/clients"),
      },
    },
  });
  const upstream = create(UpstreamTlsContextSchema, {
    commonTlsContext: {
      tlsCertificateSdsSecretConfigs: [secret("credential:secret/default/up")],
      validationContextType: {
        case: "combinedValidationContext",
        value: {
          defaultValidationContext: {},
          validationContextSdsSecretConfig: secret("trust:secret/default/up"),
        },
      },
    },
  });
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: "https",
    routeSpecifier: { case: "rds", value: { routeConfigName: "https:none", configSource: ADS } },
    httpFilters: [
      {
        name: "router",
        configType: { case: "typedConfig", value: pack(RouterSchema, create(RouterSchema)) },
      },
    ],
  });
  return [
    resource(
      "cluster",
      "up",
      create(ClusterSchema, {
        name: "up",
        clusterDiscoveryType: { case: "type", value: 3 },
        edsClusterConfig: { edsConfig: ADS },
        transportSocket: {
          name: "tls",
          configType: { case: "typedConfig", value: pack(UpstreamTlsContextSchema, upstream) },
        },
      }),
      [],
    ),
    resource(
      "listener",
      "https",
      create(ListenerSchema, {
        name: "https",
        address: {
          address: {
            case: "socketAddress",
            value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: 0 } },
          },
        },
        filterChains: [
          {
            transportSocket: {
              name: "tls",
              configType: { case: "typedConfig", value: pack(DownstreamTlsContextSchema, downstream) },
            },
            filters: [
              {
                name: "http",
                configType: { case: "typedConfig", value: pack(HttpConnectionManagerSchema, manager) },
              },
            ],
          },
        ],
      }),
      [],
    ),
    resource(
      "route-configuration",
      "https:none",
      create(RouteConfigurationSchema, { name: "https:none", vhds: { configSource: ADS } }),
      [],
    ),
    resource(
      "virtual-host",
      "https:none/a.example",
      create(VirtualHostSchema, {
        name: "https:none/a.example",
        domains: ["a.example"],
        routes: [
          {
            match: { pathSpecifier: { case: "prefix", value: prefix } },
            action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster } } },
          },
        ],
      }),
      [],
    ),
  ];
}

const { path: envoy } = await findEnvoy({ environment: process.env });

test("resources that name secrets, routes and endpoints become a bootstrap that Envoy takes by itself", async () => {
  const bootstrap = await staticBootstrap(gateway());
  const text = JSON.stringify(bootstrap);
  for (const word of ["sds_config", "vhds", '"rds"', "eds_cluster_config"])
    assert.ok(!text.includes(word), word);
  assert.deepEqual(await validateBootstrap(envoy, bootstrap), { ok: true });
});

test("what is wrong in an inlined part is found", async () => {
  const unknown = await validateBootstrap(envoy, await staticBootstrap(gateway({ cluster: "nobody" })));
  assert.ok(!unknown.ok && /unknown cluster 'nobody'/.test(unknown.reason), JSON.stringify(unknown));
  await assert.rejects(
    staticBootstrap(gateway().filter(({ kind }) => kind !== "route-configuration")),
    /no route configuration has the name https:none/,
  );
});
