import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { isObject, type Json, type JsonObject, mapObjects } from "../../src/engines/envoy/process/json.ts";
import { renderResources } from "../../src/engines/envoy/render.ts";
import type { XdsResource } from "../../src/engines/envoy/resources.ts";
import { freePort } from "./free-port.ts";

export interface EnvoyOfClustersOptions {
  /** Clusters, and the secrets that they name. */
  readonly resources: readonly XdsResource[];
  /** Those of the one listener, before the router. */
  readonly filters?: readonly Json[];
  /** In protobuf JSON; default: the header `x-cluster` names the cluster. */
  readonly routes?: readonly Json[];
  /** Further fields of the connection manager. */
  readonly manager?: JsonObject;
}

export interface EnvoyOfClusters {
  readonly port: number;
  /** A GET of Envoy's admin interface. */
  admin(path: string): Promise<string>;
  /** What Envoy has logged. */
  log(): string;
  stop(): Promise<void>;
}

/** A real Envoy that needs no control plane, with a listener of its own and these resources as they are. */
export async function startEnvoyOfClusters(options: EnvoyOfClustersOptions): Promise<EnvoyOfClusters> {
  const { path } = await findEnvoy({ environment: process.env });
  const directory = mkdtempSync(join(tmpdir(), "credence-envoy-"));
  const [port, adminPort] = await Promise.all([freePort(), freePort()]);
  const file = join(directory, "bootstrap.json");
  writeFileSync(file, JSON.stringify(bootstrap(options, port, adminPort)), { mode: 0o600 });
  const child = spawn(
    path,
    ["-c", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const admin = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await live(child, admin);
  } catch (error) {
    await stop();
    throw new Error(`Envoy does not start: ${text.slice(-1500)}`, { cause: error });
  }
  return { port, admin, log: () => text, stop };
}

function bootstrap(
  { resources, filters = [], routes = [BY_HEADER], manager = {} }: EnvoyOfClustersOptions,
  port: number,
  adminPort: number,
): JsonObject {
  const rendered = renderResources(resources);
  const objects = (kind: "cluster" | "secret"): JsonObject[] =>
    Object.values(rendered[kind] ?? {}).map(
      (each) =>
        // By name alone: a static secret.
        mapObjects(each as JsonObject, (object) =>
          isObject(object.sds_config) ? { name: object.name as Json } : object,
        ) as JsonObject,
    );
  const connectionManager = {
    "@type":
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "http",
    ...manager,
    route_config: { name: "r", virtual_hosts: [{ name: "v", domains: ["*"], routes: [...routes] }] },
    http_filters: [
      ...filters,
      {
        name: "router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
  };
  return {
    admin: { address: socketAddress(adminPort) },
    static_resources: {
      listeners: [
        {
          name: "http",
          address: socketAddress(port),
          filter_chains: [{ filters: [{ name: "http", typed_config: connectionManager }] }],
        },
      ],
      clusters: objects("cluster"),
      secrets: objects("secret"),
    },
  };
}

const BY_HEADER = { match: { prefix: "/" }, route: { cluster_header: "x-cluster", timeout: "5s" } };

function socketAddress(port: number): JsonObject {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

async function live(child: ChildProcess, admin: (path: string) => Promise<string>): Promise<void> {
  const until = Date.now() + 20_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it ended with status ${child.exitCode}`);
    const answer = await admin("/ready").catch(() => "");
    if (answer.startsWith("LIVE")) return;
    if (Date.now() > until) throw new Error("it is not LIVE within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
