import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** The proxy under test has this core for itself. */
export const PROXY_CORE = 0;
/** The load generator and the upstream share this one. */
export const PEER_CORE = 1;

export interface Running {
  readonly pid: number;
  /** User and system time of the process and its descendants so far, in seconds. */
  cpuSeconds(): number;
  /** Ends it and waits for that. */
  stop(): Promise<void>;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a process on one core. What it says is kept, and told if it ends before it is stopped. */
export function start(command: Command, core: number): Running {
  const child = spawn("taskset", ["-c", String(core), command.file, ...command.args], {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, ...command.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      said.push(chunk.toString());
      if (said.length > 100) said.shift();
    });
  }
  let stopping = false;
  const gone = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      said.push(error.message);
      resolve();
    });
    child.once("exit", (code, signal) => {
      running.delete(child);
      if (!stopping) console.error(`${command.file} ended (${code ?? signal}):\n${said.join("")}`);
      resolve();
    });
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${command.file} (is taskset, of util-linux, there?)`);
  running.set(child, stop);
  return {
    pid,
    cpuSeconds: () => treeTicks(pid) / TICKS_PER_SECOND,
    stop,
  };

  async function stop(): Promise<void> {
    stopping = true;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await gone;
    clearTimeout(timer);
  }
}

/** For an end in the middle: nothing stays behind, and nothing writes into the workspace any more. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running.values()].map((stop) => stop()));
}

/** What other work than this process, and what it started, has had of the machine so far, in seconds. */
export function othersCpuSeconds(): number {
  const [, user, nice, system, , , irq, softirq, steal] = (
    readFileSync("/proc/stat", "utf8").split("\n")[0] as string
  )
    .split(/ +/)
    .map(Number) as number[];
  const all = [user, nice, system, irq, softirq, steal].reduce((sum: number, ticks = 0) => sum + ticks, 0);
  return (all - treeTicks(process.pid)) / TICKS_PER_SECOND;
}

const running = new Map<ChildProcess, () => Promise<void>>();
const STOP_MS = 10_000;
/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

function treeTicks(root: number): number {
  const children = new Map<number, number[]>();
  const ticks = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid);
    if (stat === null) continue;
    ticks.set(pid, stat.ticks);
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), pid]);
  }
  const sum = (pid: number): number =>
    (children.get(pid) ?? []).reduce((total, child) => total + sum(child), ticks.get(pid) ?? 0);
  return sum(root);
}

/** proc(5): after the name, which may hold anything, come state, ppid, …; utime and stime are fields 14 and 15. */
function readStat(pid: number): { parent: number; ticks: number } | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
}
