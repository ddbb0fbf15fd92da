import { lookup } from "node:dns/promises";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Gateway, type GatewayOptions, wireGateway } from "../../src/cli/wire.ts";
import type { Limits } from "../../src/engines/node/limits.ts";
import type { EngineName } from "../../src/model/capabilities.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import type { DnsAnswer } from "./dns-server.ts";
import { engineUnderTest } from "./engine-under-test.ts";
import { giveBack, type Ground, groundWithEnvoy } from "./envoy-ground.ts";

export interface RunningGateway {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly adminUrl: string;
  readonly directory: string;
  readonly gateway: Gateway;
  /** Replaces one file as careful writers do, by rename, and waits until it is in effect. */
  replace(file: string, text: string): Promise<void>;
  diag(): Promise<{
    revision: unknown;
    diagnostics: { code: string; effect: string }[];
    failures: { id: string; reason: string; cause: string; route: string | null }[];
  }>;
  /** From now on DNS says so of the name, if anything. */
  answer(host: string, answer: DnsAnswer): Promise<void>;
  /** The newest one, once it is known: an Envoy tells of failures a moment later. */
  failure(): Promise<{ id: string; reason: string; cause: string; route: string | null } | undefined>;
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Default: the one that the suite runs on. */
  readonly engine?: EngineName;
  readonly limits?: Partial<Limits>;
  readonly compile?: Partial<GatewayOptions["compile"]>;
  readonly watch?: boolean;
  /** Folder that stands for the Secret `istio-certs`. */
  readonly istioCerts?: string;
  /** Names beside the system's, as a hosts file would have them. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
}

/** The whole gateway in this process, on free ports, reading a folder of its own. No part of it is a stand-in. */
export async function startGateway(
  files: Readonly<Record<string, string>>,
  options: StartOptions = {},
): Promise<RunningGateway> {
  const engine = options.engine ?? engineUnderTest();
  const wired = {
    ambassadorId: "default",
    istioCerts: options.istioCerts,
    compile: {
      engine,
      address: "127.0.0.1",
      httpPort: 0,
      httpsPort: 0,
      ...options.compile,
    },
    limits: options.limits ?? {},
    accessLog: false,
    incompleteStart: "not-ready" as const,
    admin: { address: "127.0.0.1", port: 0 },
    logger: createLogger("silent"),
  };
  const hosts = new Map<string, DnsAnswer>(Object.entries(options.hosts ?? {}));
  const ground =
    engine === "envoy"
      ? await groundWithEnvoy(wired, options.hosts ?? {})
      : await freshGround((paths) =>
          wireGateway({
            ...wired,
            paths,
            ...(options.hosts === undefined ? {} : { lookup: lookupIn(hosts) }),
          }),
        );
  const { gateway, directory, adminUrl } = ground;
  for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
  const unwatch =
    options.watch === true ? gateway.source.watch(() => void gateway.control.reload("noticed")) : () => {};
  const diag = async (): ReturnType<RunningGateway["diag"]> => {
    const response = await fetch(`${adminUrl}/ambassador/v0/diag/?json=true`);
    return (await response.json()) as Awaited<ReturnType<RunningGateway["diag"]>>;
  };
  // Of tests before this one, where an Envoy serves one after the other.
  const old = new Set(ground.isUsed ? (await diag()).failures.map(({ id }) => id) : []);
  const own = async (): ReturnType<RunningGateway["diag"]> => {
    // What an Envoy has still in its buffer.
    if (engine === "envoy") await new Promise((resolve) => setTimeout(resolve, FLUSHED_AFTER_MS));
    const found = await diag();
    return { ...found, failures: found.failures.filter(({ id }) => !old.has(id)) };
  };
  await gateway.control.reload();
  await gateway.serving();
  const port = (name: string): number =>
    gateway.control.state.listeners.find((listener) => listener.name === name)?.port ?? 0;
  let isTouched = options.watch === true;
  return {
    get httpPort() {
      return port("http");
    },
    get httpsPort() {
      return port("https");
    },
    adminUrl,
    directory,
    get gateway() {
      // Whoever reaches behind the scenes may leave it in any state.
      isTouched = true;
      return gateway;
    },
    async replace(file, text) {
      await writeFile(join(directory, `.${file}.tmp`), text);
      await rename(join(directory, `.${file}.tmp`), join(directory, file));
      if (options.watch !== true) await gateway.control.reload();
    },
    diag: own,
    answer: ground.answer ?? (async (host, answer) => void hosts.set(host, answer)),
    async failure() {
      const end = performance.now() + REPORTED_WITHIN_MS;
      for (;;) {
        const [newest] = (await own()).failures;
        if (newest !== undefined || performance.now() > end) return newest;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async stop() {
      unwatch();
      for (const file of readdirSync(directory)) rmSync(join(directory, file), { recursive: true });
      if (!isTouched && (await giveBack(ground))) return;
      await gateway.shutDown(0);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const REPORTED_WITHIN_MS = 10_000;
/** Twice the interval of Envoy's log of failures. */
const FLUSHED_AFTER_MS = 200;

async function freshGround(wire: (paths: readonly string[]) => Gateway): Promise<Ground> {
  const directory = mkdtempSync(join(tmpdir(), "credence-test-"));
  const gateway = wire([directory]);
  const { port } = await gateway.admin.open();
  return { gateway, directory, adminUrl: `http://127.0.0.1:${port}`, isUsed: false };
}

function lookupIn(hosts: ReadonlyMap<string, DnsAnswer>): GatewayOptions["lookup"] {
  return async (host) => {
    const addresses = hosts.get(host);
    if (addresses === undefined) return lookup(host, { all: true });
    if (addresses === "silent") return new Promise(() => {});
    if (addresses === "denied") throw Object.assign(new Error("denied"), { code: "ENOTFOUND" });
    return addresses.map((address) => ({ address, family: isIP(address) }));
  };
}
