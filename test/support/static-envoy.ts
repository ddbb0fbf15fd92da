import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import type { Json, JsonObject } from "../../src/engines/envoy/process/json.ts";
import { resource, type XdsResource } from "../../src/engines/envoy/resources.ts";
import { staticBootstrap } from "../../src/engines/envoy/static-bootstrap.ts";
import { RouteConfigurationSchema } from "../../src/protobuf/generated/envoy/config/route/v3/route_pb.js";
import type { HttpSettings } from "../../src/model/http.ts";

/** A real Envoy that serves some resources without a control plane: routes and secrets are written into its bootstrap. */
export interface StaticEnvoy {
  /** What it has said: log lines, and on standard output access log lines. */
  readonly output: string;
  stop(): Promise<void>;
}

/** Resolves when every port takes connections. `secrets` are in Envoy's JSON, by name; others get stand-ins. */
export async function startStaticEnvoy(
  resources: readonly XdsResource[],
  options: {
    readonly ports: readonly number[];
    readonly secrets?: Readonly<Record<string, JsonObject>>;
    readonly clusters?: readonly JsonObject[];
  },
): Promise<StaticEnvoy> {
  const { path } = await findEnvoy({ environment: process.env });
  const bootstrap = await staticBootstrap(resources);
  const fixed = bootstrap.static_resources as JsonObject;
  const secrets = (fixed.secrets as readonly JsonObject[]).map((secret) => ({
    ...secret,
    ...options.secrets?.[secret.name as string],
  }));
  const replaced = (options.clusters ?? []).map(({ name }) => name);
  const clusters: readonly Json[] = [
    ...(fixed.clusters as readonly JsonObject[]).filter(({ name }) => !replaced.includes(name as string)),
    ...(options.clusters ?? []),
  ];
  const folder = mkdtempSync(join(tmpdir(), "envoy-"));
  const file = join(folder, "bootstrap.json");
  writeFileSync(
    file,
    JSON.stringify({
      ...bootstrap,
      static_resources: { ...fixed, secrets, clusters },
    }),
    {
      mode: 0o600,
    },
  );
  const child: ChildProcess = spawn(
    path,
    [
      "-c",
      file,
      "--disable-hot-restart",
      "--concurrency",
      "1",
      "--log-level",
      process.env.ENVOY_LOG ?? "warning",
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (piece: string) => {
      output += piece;
      if (process.env.ENVOY_LOG !== undefined) process.stderr.write(piece);
    });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  for (const port of options.ports)
    while (!(await accepts(port))) {
      if (child.exitCode !== null) throw new Error(`Envoy ended: ${output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  rmSync(folder, { recursive: true });
  return {
    get output() {
      return output;
    },
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Routes of a scope that answer every host with a text. */
export function answering(
  scope: string,
  routes: MessageInitShape<typeof RouteConfigurationSchema>["virtualHosts"] = [said(scope)],
): XdsResource<"route-configuration"> {
  const message = create(RouteConfigurationSchema, { name: scope, virtualHosts: routes as never });
  return resource("route-configuration", scope, message, []);
}

function said(text: string): object {
  return {
    name: "all",
    domains: ["*"],
    routes: [
      {
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        action: {
          case: "directResponse",
          value: { status: 200, body: { specifier: { case: "inlineString", value: text } } },
        },
      },
    ],
  };
}

/** The model's defaults. */
export const HTTP: HttpSettings = {
  useRemoteAddress: true,
  xffTrustedHops: 0,
  mergeSlashes: false,
  rejectEscapedSlashes: false,
  preserveRequestId: false,
  stripMatchingHostPort: false,
  serverName: "credence",
};

/** Envoy's JSON of a certificate with its key, and of trust anchors. */
export function credentialSecret(issued: { certificate: string; privateKey: string }): JsonObject {
  return {
    tls_certificate: {
      certificate_chain: { inline_string: issued.certificate },
      private_key: { inline_string: issued.privateKey },
    },
  };
}

export function trustSecret(certificate: string): JsonObject {
  return { validation_context: { trusted_ca: { inline_string: certificate } } };
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
