import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { snapshotOf, type Snapshot } from "../../src/engines/envoy/ads/snapshot.ts";
import { resource, type XdsResource } from "../../src/engines/envoy/resources.ts";
import { pack } from "../../src/protobuf/any.ts";
import { ClusterSchema } from "../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../src/protobuf/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../src/protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../src/protobuf/generated/envoy/config/route/v3/route_pb.js";
import {
  type RouteSchema,
  VirtualHostSchema,
} from "../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { RouterSchema } from "../../src/protobuf/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../src/protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

/** A small world, made by hand: what a listener serves, by route configuration, domain and prefix. */
export interface World {
  /** Port by listener; each has a route configuration of its name. */
  readonly listeners?: Readonly<Record<string, number>>;
  /** Upstream port by cluster. */
  readonly clusters?: Readonly<Record<string, number>>;
  /** Addresses by cluster, where it does not have its own. */
  readonly endpoints?: Readonly<Record<string, readonly string[]>>;
  /** By route configuration and domain. A regex instead of a prefix begins with `~`. */
  readonly hosts?: Readonly<Record<string, Readonly<Record<string, readonly WorldRoute[]>>>>;
}

/**
 * Prefix, or `~` and a regular expression, then perhaps headers, each ` NAME~` and a regular expression; and a cluster, `=` and the text of a direct answer, or `!` and the regular expression of a redirect.
 */
export type WorldRoute = readonly [match: string, target: string];

export function worldOf(world: World, previous?: Snapshot): Snapshot {
  const resources: XdsResource[] = [
    ...Object.entries(world.clusters ?? {}).map(([name, port]) => cluster(name, port)),
    ...Object.entries(world.endpoints ?? {}).map(([name, all]) => endpoints(name, all)),
    ...Object.entries(world.listeners ?? {}).map(([name, port]) => listener(name, port)),
  ];
  for (const [name, hosts] of Object.entries(world.hosts ?? {})) {
    resources.push(
      resource(
        "route-configuration",
        name,
        create(RouteConfigurationSchema, { name, vhds: { configSource: ADS } }),
        [`routes/${name}`],
      ),
    );
    for (const [domain, routes] of Object.entries(hosts)) resources.push(virtualHost(name, domain, routes));
  }
  return snapshotOf(resources, previous);
}

const ADS = { configSourceSpecifier: { case: "ads", value: {} }, resourceApiVersion: 2 } as const;

function cluster(name: string, port: number): XdsResource {
  return resource(
    "cluster",
    name,
    create(ClusterSchema, {
      name,
      connectTimeout: { seconds: 1n },
      loadAssignment: {
        clusterName: name,
        endpoints: [
          {
            lbEndpoints: [
              {
                hostIdentifier: {
                  case: "endpoint",
                  value: {
                    address: {
                      address: {
                        case: "socketAddress",
                        value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: port } },
                      },
                    },
                  },
                },
              },
            ],
          },
        ],
      },
    }),
    [`mapping/default/${name}`],
  );
}

function endpoints(clusterName: string, addresses: readonly string[]): XdsResource {
  const lbEndpoints = addresses.map((address) => {
    const socketAddress = { address, portSpecifier: { case: "portValue" as const, value: 80 } };
    const endpoint = { address: { address: { case: "socketAddress" as const, value: socketAddress } } };
    return { hostIdentifier: { case: "endpoint" as const, value: endpoint } };
  });
  const message = create(ClusterLoadAssignmentSchema, { clusterName, endpoints: [{ lbEndpoints }] });
  return resource("endpoints", clusterName, message, []);
}

function listener(name: string, port: number): XdsResource {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: name,
    routeSpecifier: { case: "rds", value: { configSource: ADS, routeConfigName: name } },
    httpFilters: [
      {
        name: "router",
        configType: { case: "typedConfig", value: pack(RouterSchema, create(RouterSchema)) },
      },
    ],
  });
  return resource(
    "listener",
    name,
    create(ListenerSchema, {
      name,
      address: {
        address: {
          case: "socketAddress",
          value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: port } },
        },
      },
      filterChains: [
        {
          filters: [
            {
              name: "http",
              configType: { case: "typedConfig", value: pack(HttpConnectionManagerSchema, manager) },
            },
          ],
        },
      ],
    }),
    [`listener/${name}`],
  );
}

function virtualHost(owner: string, domain: string, routes: readonly WorldRoute[]): XdsResource {
  return resource(
    "virtual-host",
    `${owner}/${domain}`,
    create(VirtualHostSchema, {
      // Envoy removes virtual hosts by this name.
      name: `${owner}/${domain}`,
      domains: [domain],
      routes: routes.map(([match, target]) => route(domain, match, target)),
    }),
    [`mapping/default/${domain}`],
  );
}

function route(domain: string, whole: string, target: string): MessageInitShape<typeof RouteSchema> {
  const [match = "", ...headers] = whole.split(" ");
  return {
    name: `mapping/default/${domain}${whole}`,
    match: {
      headers: headers.map((header) => ({
        name: header.slice(0, header.indexOf("~")),
        headerMatchSpecifier: {
          case: "stringMatch",
          value: {
            matchPattern: { case: "safeRegex", value: { regex: header.slice(header.indexOf("~") + 1) } },
          },
        },
      })),
      pathSpecifier: match.startsWith("~")
        ? { case: "safeRegex", value: { regex: match.slice(1) } }
        : { case: "prefix", value: match },
    },
    action: target.startsWith("!")
      ? {
          case: "redirect",
          value: {
            pathRewriteSpecifier: {
              case: "regexRewrite",
              value: { pattern: { regex: target.slice(1) }, substitution: "/" },
            },
          },
        }
      : target.startsWith("=")
        ? {
            case: "directResponse",
            value: { status: 200, body: { specifier: { case: "inlineString", value: target.slice(1) } } },
          }
        : { case: "route", value: { clusterSpecifier: { case: "cluster", value: target } } },
  };
}
