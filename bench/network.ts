import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * Starts this program once more, in its own place, in a network namespace that it has for itself, and where loopback has the
 * congestion control that is asked for. What the machine has set, and other programs' connections, then do not count.
 *
 * That matters: where a machine has BBR, TCP spreads what is sent by timers, on loopback too, and the proxy pays for those of its
 * upstream as it reads. CUBIC is what Linux has where nobody has set anything.
 *
 * Returns what is in force where nothing has to be done, or nothing can be and nothing was asked for (null): it takes root, as nginx
 * needs more users than an unprivileged namespace has, and `unshare` and `ip` of Linux.
 */
export function enterOwnNetwork(asked: string | null): string {
  const inside = process.env[INSIDE];
  if (inside !== undefined) return `${inside}, in a network namespace of its own`;
  const wanted = asked ?? DEFAULT;
  const host = `${readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "latin1").trim()}, the machine's own`;
  if (wanted === HOST) return host;
  const within = ["--net", "sh", "-c", SET_UP, "sh", wanted];
  // Tried first: what takes this program's place must not fail for that.
  const tried = spawnSync("unshare", [...within, "true"], { env: ENV });
  if (tried.status !== 0) {
    const why = tried.error?.message ?? String(tried.stderr).trim();
    if (asked !== null) throw new Error(`no network namespace with congestion control ${wanted}: ${why}`);
    return `${host} (no network namespace: ${why})`;
  }
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.("/usr/bin/env", ["env", "unshare", ...within, ...again], { ...ENV, [INSIDE]: wanted });
  throw new Error("this Node cannot start a program in its own place");
}

const DEFAULT = "cubic";
/** The choice that leaves everything as it is. */
const HOST = "host";
const INSIDE = "CREDENCE_BENCH_CONGESTION";
const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
/** Loopback's routes are the kernel's own; with `congctl` (ip-route(8)) connections over them get another congestion control. */
const SET_UP =
  'set -e; control="$1"; shift; ip link set lo up; ' +
  "for to in 127.0.0.0/8 127.0.0.1; do " +
  'ip route replace local "$to" dev lo table local proto kernel scope host src 127.0.0.1 congctl "$control"; done; exec "$@"';
