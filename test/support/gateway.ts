import { lookup } from "node:dns/promises";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GatewayOptions, wireGateway } from "../../src/cli/wire.ts";
import type { Limits } from "../../src/engines/node/limits.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

export interface RunningGateway {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly adminUrl: string;
  readonly directory: string;
  readonly gateway: ReturnType<typeof wireGateway>;
  /** Replaces one file as careful writers do, by rename, and waits until it is in effect. */
  replace(file: string, text: string): Promise<void>;
  diag(): Promise<{
    revision: unknown;
    diagnostics: { code: string; effect: string }[];
    failures: { id: string; reason: string; cause: string; route: string | null }[];
  }>;
  stop(): Promise<void>;
}

/** The whole gateway in this process, on free ports, reading a folder of its own. No part of it is a stand-in. */
export async function startGateway(
  files: Readonly<Record<string, string>>,
  options: {
    limits?: Partial<Limits>;
    compile?: Partial<GatewayOptions["compile"]>;
    watch?: boolean;
    /** Names beside the system's, as a hosts file would have them. */
    hosts?: Readonly<Record<string, readonly string[]>>;
  } = {},
): Promise<RunningGateway> {
  const directory = mkdtempSync(join(tmpdir(), "credence-test-"));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
  const gateway = wireGateway({
    paths: [directory],
    ambassadorId: "default",
    compile: {
      engine: "node",
      address: "127.0.0.1",
      httpPort: 0,
      httpsPort: 0,
      requireUpstreamVerification: false,
      allowUnenforced: false,
      ...options.compile,
    },
    limits: options.limits ?? {},
    accessLog: false,
    allowPartial: false,
    admin: { address: "127.0.0.1", port: 0 },
    logger: createLogger("silent"),
    ...(options.hosts === undefined ? {} : { lookup: lookupIn(options.hosts) }),
  });
  const admin = await gateway.admin.open();
  const unwatch =
    options.watch === true ? gateway.source.watch(() => void gateway.control.reload()) : () => {};
  await gateway.control.reload();
  const port = (name: string): number =>
    gateway.control.state.listeners.find((listener) => listener.name === name)?.port ?? 0;
  const adminUrl = `http://127.0.0.1:${admin.port}`;
  return {
    get httpPort() {
      return port("http");
    },
    get httpsPort() {
      return port("https");
    },
    adminUrl,
    directory,
    gateway,
    async replace(file, text) {
      await writeFile(join(directory, `.${file}.tmp`), text);
      await rename(join(directory, `.${file}.tmp`), join(directory, file));
      if (options.watch !== true) await gateway.control.reload();
    },
    async diag() {
      const response = await fetch(`${adminUrl}/ambassador/v0/diag/?json=true`);
      return (await response.json()) as Awaited<ReturnType<RunningGateway["diag"]>>;
    },
    async stop() {
      unwatch();
      await gateway.shutDown(0);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function lookupIn(hosts: Readonly<Record<string, readonly string[]>>): GatewayOptions["lookup"] {
  return async (host) => {
    const addresses = hosts[host];
    if (addresses === undefined) return lookup(host, { all: true });
    return addresses.map((address) => ({ address, family: isIP(address) }));
  };
}
