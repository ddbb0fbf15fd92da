import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import { RUNTIME } from "../../src/engines/envoy/process/bootstrap.ts";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { packedTypes } from "../../src/protobuf/any.ts";
import {
  type VirtualHost,
  VirtualHostSchema,
} from "../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { freePort } from "./free-port.ts";

export interface RunningEnvoy {
  /** Of the listeners, in their order. */
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

export interface RoutedListener {
  readonly virtualHosts: readonly VirtualHost[];
  /** HTTP filters before those of every listener, CORS and the router. */
  readonly filters?: readonly unknown[];
  /** Further fields of the connection manager. */
  readonly manager?: Readonly<Record<string, unknown>>;
}

/**
 * A real Envoy with cleartext listeners for these virtual hosts, none of them fetched; clusters are ports on loopback. The
 * name of the route that took a request is in its response's `x-route`.
 */
export async function startEnvoyWithRoutes(
  listeners: readonly RoutedListener[],
  clusters: Readonly<Record<string, number>> = {},
): Promise<RunningEnvoy> {
  const directory = mkdtempSync(join(tmpdir(), "credence-routes-"));
  const file = join(directory, "bootstrap.json");
  const { path } = await findEnvoy({ environment: process.env });
  // Envoy would open one port twice, and both listeners would get some of its connections.
  const distinct = new Set<number>();
  while (distinct.size < listeners.length) distinct.add(await freePort());
  const ports = [...distinct];
  const made = listeners.map((each, index) => listener(each, ports[index] as number));
  writeFileSync(file, JSON.stringify(bootstrap(made, clusters)));
  const child = spawn(
    path,
    [
      "-c",
      file,
      "--disable-hot-restart",
      "--concurrency",
      "1",
      "--log-level",
      "warning",
      "--skip-deprecated-logs",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    for (const port of ports) await listening(port, child, () => log);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ports, stop };
}

function bootstrap(listeners: readonly unknown[], clusters: Readonly<Record<string, number>>): unknown {
  return {
    layered_runtime: RUNTIME,
    static_resources: {
      clusters: Object.entries(clusters).map(([name, upstream]) => ({
        name,
        type: "STATIC",
        // Others do not ask for a hash, and no cookie is made.
        lb_policy: "RING_HASH",
        load_assignment: {
          cluster_name: name,
          endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
        },
      })),
      listeners,
    },
  };
}

function listener({ virtualHosts, filters = [], manager }: RoutedListener, port: number): unknown {
  const registry = packedTypes();
  return {
    name: `http-${port}`,
    address: address(port),
    filter_chains: [
      {
        filters: [
          {
            name: "manager",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              stat_prefix: "http",
              use_remote_address: true,
              normalize_path: true,
              strip_trailing_host_dot: true,
              route_config: {
                name: "http",
                ignore_port_in_host_matching: true,
                most_specific_header_mutations_wins: true,
                response_headers_to_add: [{ header: { key: "x-route", value: "%ROUTE_NAME%" } }],
                virtual_hosts: virtualHosts.map((host) =>
                  toJson(VirtualHostSchema, host, { registry, useProtoFieldName: true }),
                ),
              },
              http_filters: [
                ...filters,
                filter("envoy.filters.http.header_mutation", "header_mutation.v3.HeaderMutation"),
                filter("envoy.filters.http.cors", "cors.v3.Cors"),
                filter("envoy.filters.http.router", "router.v3.Router"),
              ],
              ...manager,
            },
          },
        ],
      },
    ],
  };
}

function address(port: number): unknown {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

function filter(name: string, type: string): unknown {
  return { name, typed_config: { "@type": `type.googleapis.com/envoy.extensions.filters.http.${type}` } };
}

async function listening(port: number, child: ChildProcess, log: () => string): Promise<void> {
  const giveUp = performance.now() + 30_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`Envoy ended with ${child.exitCode}: ${log()}`);
    if (await accepts(port)) return;
    if (performance.now() > giveUp) throw new Error(`Envoy does not listen: ${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
      .once("connect", () => {
        socket.destroy();
        resolve(true);
      })
      .once("error", () => resolve(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
