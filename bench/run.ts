// Credence beside nginx, HAProxy and http-proxy: README.md says what is measured and how to read it.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { LOADS, measure, verify, verifyUpstream } from "./load.ts";
import { enterOwnNetwork } from "./network.ts";
import { PROXY_CORE, type Running, start, stopAll } from "./processes.ts";
import { hottest } from "./profile.ts";
import { PROXIES, type ProxyName } from "./proxies.ts";
import { type Result, table } from "./table.ts";
import { startUpstream } from "./upstream.ts";
import { createWorkspace, freePort, type Workspace } from "./workspace.ts";

const USAGE = `npm run bench -- [--rounds 3] [--seconds 5] [--only ${Object.keys(PROXIES).join(",")}] [--congestion cubic] [--cpu-profile]`;
const RESULTS = fileURLToPath(new URL("results", import.meta.url));

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly names: readonly ProxyName[];
  /** TCP's congestion control on loopback: a name that the kernel knows, or `host`; null: CUBIC where that can be. */
  readonly congestion: string | null;
  readonly profile: boolean;
}

async function main(options: Options): Promise<void> {
  if (availableParallelism() < 2)
    throw new Error("two cores are needed: one for the proxy, one for its peers");
  const tools = spawnSync("sh", [fileURLToPath(new URL("../scripts/install-tools.sh", import.meta.url))], {
    stdio: "inherit",
  });
  if (tools.status !== 0) throw new Error("nginx, haproxy, wrk and h2load are needed");
  const network = enterOwnNetwork(options.congestion);
  const started = new Date().toISOString();
  const stem = started.replaceAll(":", "-").replace(/\..*/, "");
  const profileDirectory = options.profile ? join(RESULTS, `profile-${stem}`) : null;
  mkdirSync(profileDirectory ?? RESULTS, { recursive: true });
  const workspace = await createWorkspace();
  process.on("exit", () => workspace.remove());
  const load = loadavg()[0] ?? 0;
  const upstream = await startUpstream(workspace);
  await verifyUpstream(upstream.port, workspace.ca).catch((error: Error) => {
    throw new Error(`the upstream is not what it should be: ${error.message}`);
  });
  const results = await runRounds(options, workspace, upstream.port, profileDirectory);
  await upstream.stop();

  const text = table(results);
  const file = join(RESULTS, `${stem}.json`);
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    loadBefore: load,
    network,
    versions: versions(),
  };
  writeFileSync(file, `${JSON.stringify({ started, ...options, machine, results }, null, 2)}\n`);
  console.log(`\n${text}\n`);
  const failed = results.flatMap(({ name, samples }) => {
    const count = Object.values(samples)
      .flat()
      .reduce((sum, sample) => sum + sample.failed, 0);
    return count === 0 ? [] : `${name} ${count}`;
  });
  if (failed.length > 0) console.log(`FAILED requests and connections: ${failed.join(", ")}.`);
  console.log(`TLS in: ${results.map(({ name, tls }) => `${name} ${tls}`).join(", ")}.`);
  console.log(`TCP's congestion control: ${network}.`);
  console.log(
    `Median of ${options.rounds} rounds of ${options.seconds} s, ± half of their spread. Timings on a shared machine are noisy (load ` +
      `before: ${load.toFixed(2)}): look at the ratios, and at several runs.\n${file}`,
  );
  if (profileDirectory !== null) {
    console.log(
      `\nCredence's own time, over ${profileDirectory}:\n${hottest(profileDirectory, 25).join("\n")}`,
    );
  }
}

/** One round after the other, in each every proxy once, alone: what disturbs the machine meets all of them. */
async function runRounds(
  { rounds, seconds, names }: Options,
  workspace: Workspace,
  upstreamPort: number,
  profileDirectory: string | null,
): Promise<Result[]> {
  const results = new Map<ProxyName, Result>();
  for (let round = 1; round <= rounds; round++) {
    for (const name of names) {
      const port = await freePort();
      const command = PROXIES[name]({ workspace, port, upstreamPort, profileDirectory });
      const proxy: Running = start(command, PROXY_CORE);
      const tls = await verify(port, workspace.ca).catch((error: Error) => {
        throw new Error(`${name} does not answer as it should: ${error.message}`);
      });
      const result = results.get(name) ?? { name, tls, samples: { small: [], large: [], connections: [] } };
      results.set(name, result);
      for (const load of LOADS) {
        const sample = await measure(proxy, port, load, seconds);
        result.samples[load.name].push(sample);
        const cpu = Math.round((100 * sample.cpuSeconds) / sample.wallSeconds);
        const failed = sample.failed === 0 ? "" : `, ${sample.failed} FAILED`;
        console.log(
          `round ${round}  ${name.padEnd(10)}  ${load.title.padEnd(15)}  ${Math.round(sample.perCpuSecond)} per CPU-second, core ${cpu} % busy${failed}`,
        );
      }
      await proxy.stop();
    }
  }
  return [...results.values()];
}

function versions(): Record<string, string> {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const first = (file: string): string => {
    const { stdout, stderr } = spawnSync(file, ["-v"], { env, encoding: "utf8" });
    return `${stdout}${stderr}`.split("\n", 1)[0] ?? "";
  };
  const revision = execFileSync("git", ["describe", "--always", "--dirty"], {
    cwd: RESULTS,
    encoding: "utf8",
  });
  return {
    credence: revision.trim(),
    node: process.version,
    openssl: process.versions.openssl,
    nginx: first("nginx"),
    haproxy: first("haproxy"),
  };
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "5" },
      only: { type: "string", default: Object.keys(PROXIES).join(",") },
      congestion: { type: "string" },
      "cpu-profile": { type: "boolean", default: false },
      profile: { type: "boolean", default: false }, // the same, in short
    },
  });
  const wanted = values.only.split(",");
  const names = (Object.keys(PROXIES) as ProxyName[]).filter((name) => wanted.includes(name));
  const unknown = wanted.filter((name) => !(name in PROXIES));
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  if (unknown.length > 0) throw new Error(`no such proxy: ${unknown.join(", ")}`);
  if (![rounds, seconds].every((number) => Number.isInteger(number) && number > 0)) {
    throw new Error("--rounds and --seconds take whole numbers from 1");
  }
  return {
    rounds,
    seconds,
    names,
    congestion: values.congestion ?? null,
    profile: values["cpu-profile"] || values.profile,
  };
}

let options: Options;
try {
  options = readOptions();
} catch (error) {
  console.error(`bench: ${(error as Error).message}\n${USAGE}`);
  process.exit(2);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => void stopAll().finally(() => process.exit(130)));
}
try {
  await main(options);
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  await stopAll();
  process.exit(1);
}
