import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { packedTypes } from "../../src/protobuf/any.ts";
import {
  type VirtualHost,
  VirtualHostSchema,
} from "../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { freePort } from "./tcp.ts";

export interface RunningEnvoy {
  readonly port: number;
  stop(): Promise<void>;
}

/** A real Envoy with one cleartext listener and these virtual hosts, none of them fetched; clusters are ports on loopback. */
export async function startEnvoyWithRoutes(
  virtualHosts: readonly VirtualHost[],
  clusters: Readonly<Record<string, number>> = {},
  manager: Readonly<Record<string, unknown>> = {},
): Promise<RunningEnvoy> {
  const directory = mkdtempSync(join(tmpdir(), "credence-routes-"));
  const file = join(directory, "bootstrap.json");
  const { path } = await findEnvoy({ environment: process.env });
  const port = await freePort();
  const registry = packedTypes();
  const hosts = virtualHosts.map((host) =>
    toJson(VirtualHostSchema, host, { registry, useProtoFieldName: true }),
  );
  writeFileSync(file, JSON.stringify(bootstrap(port, hosts, clusters, manager)));
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
    await listening(port, child, () => log);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, stop };
}

function bootstrap(
  port: number,
  hosts: readonly unknown[],
  clusters: Readonly<Record<string, number>>,
  manager: Readonly<Record<string, unknown>>,
): unknown {
  const address = (number: number): unknown => ({
    socket_address: { address: "127.0.0.1", port_value: number },
  });
  const filter = (name: string, type: string): unknown => ({
    name,
    typed_config: { "@type": `type.googleapis.com/envoy.extensions.filters.http.${type}` },
  });
  return {
    layered_runtime: {
      layers: [{ name: "static", static_layer: { "re2.max_program_size.error_level": 4_294_967_295 } }],
    },
    static_resources: {
      clusters: Object.entries(clusters).map(([name, upstream]) => ({
        name,
        type: "STATIC",
        load_assignment: {
          cluster_name: name,
          endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
        },
      })),
      listeners: [
        {
          name: "http",
          address: address(port),
          filter_chains: [
            {
              filters: [
                {
                  name: "hcm",
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
                      virtual_hosts: hosts,
                    },
                    http_filters: [
                      filter("envoy.filters.http.cors", "cors.v3.Cors"),
                      filter("envoy.filters.http.router", "router.v3.Router"),
                    ],
                    ...manager,
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
