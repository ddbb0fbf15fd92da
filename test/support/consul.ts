import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { mappingYaml } from "./certificates.ts";
import { freePort } from "./free-port.ts";
import { until } from "./until.ts";

const BINARY = fileURLToPath(new URL("../../.cache/consul/consul", import.meta.url));

export interface Consul {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** An answer of the HTTP API as JSON; anything but 200 throws. */
  ask<T = unknown>(path: string, method?: "GET" | "PUT", body?: unknown): Promise<T>;
  /** Registers an instance with a check that the test decides. */
  register(instance: Instance): Promise<void>;
  deregister(id: string): Promise<void>;
  setCheck(id: string, status: "pass" | "warn" | "fail"): Promise<void>;
  /** Ends the agent; `start` brings back another one at the same address that knows nothing. */
  end(): Promise<void>;
  start(): Promise<void>;
}

export interface Instance {
  readonly service: string;
  /** Default: service and port. */
  readonly id?: string;
  readonly port: number;
  readonly address?: string;
  readonly tags?: readonly string[];
  readonly native?: boolean;
  readonly weights?: { readonly Passing: number; readonly Warning: number };
}

/**
 * A real agent in development mode on free ports. `token`: ACLs are on, and this is the one that may do anything. It takes 200
 * connections from one address, or `connections`.
 */
export async function startConsul(
  options: { token?: string; connections?: number; tries?: number } = {},
): Promise<Consul> {
  const { token, connections, tries = 3 } = options;
  if (!existsSync(BINARY))
    throw new Error(`there is no Consul at ${BINARY}: sh scripts/install-consul.sh builds it`);
  const [http, server, lan, wan] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const address = `127.0.0.1:${http}`;
  const settings = [
    `ports { http = ${http} server = ${server} serf_lan = ${lan} serf_wan = ${wan} dns = -1 grpc = -1 }`,
    ...(connections === undefined ? [] : [`limits { http_max_conns_per_client = ${connections} }`]),
    ...(token === undefined
      ? []
      : [
          `acl { enabled = true default_policy = "deny" tokens { initial_management = "${token}" agent = "${token}" } }`,
        ]),
  ];
  let agent: ChildProcess | null = null;
  const ask = async <T>(path: string, method = "GET", body?: unknown): Promise<T> => {
    const answer = await fetch(`http://${address}${path}`, {
      method,
      ...(token === undefined ? {} : { headers: { "x-consul-token": token } }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
    return (text === "" ? null : JSON.parse(text)) as T;
  };
  const start = async (): Promise<void> => {
    const started = spawn(
      BINARY,
      ["agent", "-dev", "-bind", "127.0.0.1", ...settings.flatMap((each) => ["-hcl", each])],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    agent = started;
    // A test that fails before its end leaves nobody behind, and does not wait for one.
    started.unref();
    (started.stdout as Socket | null)?.unref();
    process.once("exit", () => started.kill("SIGKILL"));
    let log = "";
    started.stdout?.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4000);
    });
    await until(
      async () => {
        if (started.exitCode !== null) throw new Error(`Consul ended:\n${log}`);
        // With a leader there are roots; before that nothing works.
        return ask<{ Roots: unknown[] }>("/v1/agent/connect/ca/roots").then(
          ({ Roots }) => Roots.length > 0,
          () => false,
        );
      },
      60_000,
      "Consul's agent",
    );
  };
  try {
    await start();
  } catch (error) {
    // Somebody else may have taken one of the ports meanwhile.
    if (tries <= 1) throw error;
    return startConsul({ ...options, tries: tries - 1 });
  }
  return {
    address,
    ask,
    start,
    async register({
      service,
      port,
      id = `${service}-${port}`,
      address: at = "127.0.0.1",
      tags = [],
      native,
      weights,
    }) {
      await ask("/v1/agent/service/register", "PUT", {
        ID: id,
        Name: service,
        Address: at,
        Port: port,
        Tags: tags,
        ...(weights === undefined ? {} : { Weights: weights }),
        ...(native === true ? { Connect: { Native: true } } : {}),
        Check: { CheckID: `check-${id}`, TTL: "1h", Status: "passing" },
      });
    },
    deregister: (id) => ask(`/v1/agent/service/deregister/${id}`, "PUT"),
    setCheck: (id, status) => ask(`/v1/agent/check/${status}/check-${id}`, "PUT"),
    async end() {
      const running = agent;
      agent = null;
      if (running === null || running.exitCode !== null) return;
      const ended = new Promise((resolve) => running.once("exit", resolve));
      running.ref();
      running.kill("SIGKILL");
      await ended;
    },
  };
}

/** Mappings `one` and `two`, each with a ConsulResolver of its own name, whose agents are not there. */
export function absentAgentsYaml(): string {
  const mapping = (name: string): string =>
    mappingYaml(name, { prefix: `/${name}/`, service: name, resolver: name, tls: "ambassador-consul" });
  return (
    consulResolverYaml("one", "127.0.0.1:1") +
    consulResolverYaml("two", "unix:///nothere.sock") +
    mapping("one") +
    mapping("two")
  );
}

export function consulResolverYaml(name: string, address: string, more = ""): string {
  return `---
apiVersion: getambassador.io/v2
kind: ConsulResolver
metadata:
  name: ${name}
spec:
  address: ${address}
  datacenter: dc1
${more}`;
}
