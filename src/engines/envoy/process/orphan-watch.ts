import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Logger } from "../../../telemetry/logger.ts";

/**
 * Ends the process when we are gone, however that came about: a gateway that nobody configures any more must not go on with
 * what it had, since it would outlive its certificates. A shell waits for the end of a pipe that only we hold.
 * Returns the function that calls it off.
 */
export function endWithUs(pid: number, logger: Logger): () => void {
  const watcher = spawn("/bin/sh", ["-c", SCRIPT, "credence-envoy-watch", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    // Not of our process group: what a terminal sends to all of it is not meant for the watcher.
    detached: true,
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin" },
  });
  watcher.on("error", (error) =>
    logger.warn(
      { err: error },
      "no shell to watch over Envoy: should Credence be killed, Envoy stays behind",
    ),
  );
  watcher.stdin.on("error", () => {});
  // Neither keeps us alive.
  (watcher.stdin as Socket).unref();
  watcher.unref();
  return () => watcher.kill("SIGKILL");
}

const SCRIPT = `
while read -r _; do :; done
kill -TERM "$1" 2>/dev/null
for _ in 1 2 3 4 5; do sleep 1; kill -0 "$1" 2>/dev/null || exit 0; done
kill -KILL "$1" 2>/dev/null
`;
