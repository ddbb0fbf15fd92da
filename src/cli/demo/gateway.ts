import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Ready } from "../ready-file.ts";
import type { DemoDirectory } from "./directory.ts";

export interface DemoGateway {
  readonly process: ChildProcess;
  /** Where it is reached. Rejects when it does not come up. */
  readonly ready: Promise<{ readonly http: string; readonly admin: string }>;
  readonly stopping: () => boolean;
  stop(): Promise<void>;
}

/** `credence run`, as anybody would start it. */
export function startGateway(
  directory: Pick<DemoDirectory, "gateway" | "readyFile">,
  ports: { readonly http: number; readonly admin: number },
): DemoGateway {
  const entry = fileURLToPath(new URL("../../../bin/credence.js", import.meta.url));
  const flags = [
    ["--http-port", String(ports.http)],
    ["--admin-port", String(ports.admin)],
    ["--ready-file", directory.readyFile],
    ["--drain-seconds", "2"],
    ["--log-level", "warn"],
    ["--no-access-log"],
  ].flat();
  const child = spawn(process.execPath, [entry, "run", directory.gateway, ...flags], {
    // The channel tells it when we are gone, however that came about.
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    // A process group of its own: Ctrl-C reaches the demo alone, which then ends the gateway in order.
    detached: true,
  });
  let stopping = false;
  const ready = waitUntilReady(child, directory.readyFile);
  ready.catch(() => undefined);
  return {
    process: child,
    ready,
    stopping: () => stopping,
    async stop() {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), LONGEST_STOP_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Of a machine that is busy with other things. */
const LONGEST_START_MS = 60_000;
const LONGEST_STOP_MS = 5_000;
const POLL_MS = 30;

async function waitUntilReady(
  child: ChildProcess,
  readyFile: string,
): Promise<{ http: string; admin: string }> {
  const end = Date.now() + LONGEST_START_MS;
  while (Date.now() < end) {
    const ended = child.exitCode ?? child.signalCode;
    if (ended !== null) throw new Error(`the gateway ended with ${ended}`);
    const ready = readReady(readyFile);
    if (ready?.http != null && ready.admin !== null) return { http: ready.http, admin: ready.admin };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`the gateway did not become ready within ${LONGEST_START_MS / 1000} s`);
}

function readReady(file: string): Ready | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Ready;
  } catch {
    return undefined;
  }
}
