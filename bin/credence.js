#!/usr/bin/env node
// The command's entry. Credence needs Node 24.5 or later (ML-KEM key exchange, `.ts` files run as they are); where the
// machine's own `node` is older, the npm package `node` (installed beside us) is used instead.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module, { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major > 24 || (major === 24 && minor >= 5)) {
  if (process.argv[2] === "control-plane") withFrugalMemory();
  else if (process.argv[2] === "run") withReadyMemory();
  withCompileCache();
  const source = new URL("../src/cli/main.ts", import.meta.url);
  const { main } = await import(
    existsSync(source) ? source.href : new URL("../dist/cli/main.js", import.meta.url).href
  );
  await main(process.argv.slice(2));
} else {
  const newer = findNewerNode();
  if (newer === undefined) {
    console.error(
      `credence: Node ${process.versions.node} is too old, 24.5 or later is needed.\n` +
        "  Install it, or run `npm install node@26` in this folder: it is then found by itself.",
    );
    process.exit(2);
  }
  const child = spawn(newer, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  // The child is the program: signals that reach us alone are handed on, and its end is ours.
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  // A terminal sends Ctrl-C to the whole foreground group: sent on, the child would count it as the second one.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/**
 * Compiled code is kept for the next start, which takes a third of a second less. In a folder that only the user may write to, as code is run from it:
 * Node's own choice is one for all users. Where there is none, nothing is kept.
 */
function withCompileCache() {
  if (process.env.NODE_COMPILE_CACHE !== undefined) return;
  try {
    module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "credence"));
  } catch {
    // A user without a home.
  }
}

/**
 * A fleet that connects at once takes buffers of all sizes. glibc keeps such memory when it is freed unless it is told otherwise: with 100
 * clients it is 480 MB in place of 400 (bench/fleet.ts).
 */
function withFrugalMemory() {
  const flags = [
    // A heap that may grow to several times what lives in it does so while changes come one after another.
    "--max-semi-space-size=16",
    "--heap-growing-percent=50",
    // By default four threads mark and compile beside the one that works: where there is one core, it would have a fifth of it.
    "--v8-pool-size=1",
    // src/cli/envoy/idle-collection.ts
    "--expose-gc",
  ];
  startAgain(flags, { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "65536" });
}

/**
 * OpenSSL takes and frees six buffers of 16 KiB a request, and Node dozens of small ones, those of a turn's requests all at once. With huge
 * pages for malloc (glibc 2.35 or later; others take no notice) a request costs 5 % less CPU time, small or 1 MiB, and with 200 free
 * chunks a size kept at hand, not 7, a small one 2 % less again (bench/).
 */
function withReadyMemory() {
  startAgain([], { GLIBC_TUNABLES: "glibc.malloc.hugetlb=1:glibc.malloc.tcache_count=200" });
}

/**
 * glibc reads this before a process starts: so the process starts once more in its own place. An environment that says something of
 * malloc itself is left alone, and so is one with a channel to its parent, which would not survive.
 */
function startAgain(flags, environment) {
  const isAsked = Object.keys(process.env).some((name) => /^MALLOC_|^GLIBC_TUNABLES$/.test(name));
  // A profiler's next signal (SIGPROF) would end the new process, which does not expect it yet.
  const isProfiled = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].some((option) =>
    option.includes("--cpu-prof"),
  );
  if (process.platform !== "linux" || isAsked || isProfiled || process.connected) return;
  if (process.execve === undefined) return;
  process.execve(
    process.execPath,
    [
      process.execPath,
      ...flags,
      ...process.execArgv,
      fileURLToPath(import.meta.url),
      ...process.argv.slice(2),
    ],
    { ...process.env, ...environment },
  );
}

function findNewerNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve("node/package.json");
    const binary = fileURLToPath(new URL("./bin/node", `file://${manifest}`));
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}
