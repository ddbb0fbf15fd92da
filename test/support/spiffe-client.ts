import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Built by scripts/install-spiffe-clients.sh. */
const CACHE = new URL("../../.cache/spiffe/", import.meta.url);
export const GO_SPIFFE = fileURLToPath(new URL("spiffe-client", CACHE));
export const SPIFFE_PYTHON = fileURLToPath(new URL("python/bin/python", CACHE));

/** A service on go-spiffe: HTTPS with what the socket has for it, for clients of these trust domains. */
export async function startGoSpiffeServer(
  socket: string,
  ...domains: string[]
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server: ChildProcess = spawn(GO_SPIFFE, ["serve", socket, ...domains], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  if (server.stdout === null) throw new Error("no output");
  const [port] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
  return {
    port: Number(port),
    async close() {
      server.kill();
      await once(server, "close");
    },
  };
}

/** One request by go-spiffe, which takes no server but one with that ID: status and body, or why not. */
export async function getByGoSpiffe(socket: string, url: string, id: string): Promise<string> {
  try {
    return (await promisify(execFile)(GO_SPIFFE, ["get", socket, url, id])).stdout.trim();
  } catch (error) {
    return (error as { stderr: string }).stderr.trim();
  }
}
