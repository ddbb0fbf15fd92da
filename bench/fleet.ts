// A fleet at scale: `node bench/fleet.ts [--mappings 10000] [--hosts 500] [--contexts 1000] [--clients 100] [--rounds 20] [--clients-nice 10] [--most-mb 500] [--node=--cpu-prof]`.
// The control plane as people run it, over mutual TLS, with simulated Envoys (bench/fleet-clients.ts) and one real one.
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { mkdirSync, readFileSync, renameSync } from "node:fs";
import { Agent, get } from "node:http";
import { setPriority } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createAuthority } from "../src/x509/authority.ts";
import type { ClientsMessage } from "./fleet-clients.ts";
import { othersCpuSeconds, PEER_CORE, PROXY_CORE, type Running, start, stopAll } from "./processes.ts";
import { SimulatedFleet } from "./simulated-fleet.ts";
import { createWorkspace, freePort } from "./workspace.ts";

const { values } = parseArgs({
  options: {
    mappings: { type: "string", default: "10000" },
    hosts: { type: "string", default: "500" },
    contexts: { type: "string", default: "1000" },
    clients: { type: "string", default: "100" },
    rounds: { type: "string", default: "20" },
    // Of the simulated clients: what they take from the real Envoy's core they would not have in a fleet, where each has its own.
    "clients-nice": { type: "string", default: "10" },
    // Of the control plane's memory at most: it is an error if it takes more.
    "most-mb": { type: "string", default: "500" },
    // Of the control plane's Node: --node=--cpu-prof
    node: { type: "string", multiple: true },
  },
});
const [mappings, hosts, contexts, clients, rounds] = [
  values.mappings,
  values.hosts,
  values.contexts,
  values.clients,
  values.rounds,
].map(Number) as [number, number, number, number, number];

/** Of the requests that ask the real Envoy. A new connection each, every two milliseconds, would cost it half as much again as the change. */
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const workspace = await createWorkspace();
const root = join(import.meta.dirname, "..");
const credence = join(root, "bin/credence.js");
const [xdsPort, httpPort, adminPort] = [await freePort(), await freePort(), await freePort()];
let child: ChildProcess | undefined;
try {
  await run();
} finally {
  child?.kill();
  agent.destroy();
  await stopAll();
  workspace.remove();
}

async function run(): Promise<void> {
  console.log(
    `${mappings} Mappings on ${hosts} hosts, ${contexts} TLSContexts with a Secret each, ${clients} simulated clients, one Envoy`,
  );
  const authority = await createAuthority("fleet bench CA");
  await writeResources(authority);
  const { ca, server, client } = workspace.files;
  const args = [
    "control-plane",
    join(workspace.directory, "resources"),
    "--xds-address",
    `127.0.0.1:${xdsPort}`,
  ];
  args.push("--xds-cert", server.certificate, "--xds-key", server.key, "--xds-client-ca", ca);
  args.push("--admin-port", String(adminPort), "--address", "127.0.0.1", "--http-port", String(httpPort));
  const started = now();
  const plane = start(
    { file: process.execPath, args: [...(values.node ?? []), credence, ...args] },
    PROXY_CORE,
  );
  await until(
    () => answers(`http://127.0.0.1:${adminPort}/ambassador/v0/check_ready`),
    "the control plane is ready",
  );
  console.log(`ready after ${seconds(now() - started)}, ${spent(plane)}, ${memories(plane)}`);

  const fleet = new SimulatedFleet({ clients, hosts, mappings, contexts });
  const clientArgs = [String(clients), String(xdsPort), String(contexts), ca, client.certificate, client.key];
  const connected = now();
  child = fork(join(import.meta.dirname, "fleet-clients.ts"), clientArgs, { execArgv: ["--v8-pool-size=1"] });
  child.on("message", (message: ClientsMessage) => fleet.take(message));
  await until(() => fleet.isComplete, "every simulated client has the world", 300_000);
  console.log(
    `${clients} clients have the world after ${seconds(now() - connected)}, ${spent(plane)}, ${memories(plane)}`,
  );
  setPriority(child.pid as number, Number(values["clients-nice"]));
  const real = await startEnvoy();
  console.log(`  ${spent(plane)}, ${memories(plane)}`);

  const changes: number[] = [];
  const effective: number[] = [];
  /** Milliseconds of the cores, in each round. */
  const others: number[] = [];
  const bytes = new Set<string>();
  const [cpuBefore, realBefore] = [plane.cpuSeconds(), real.cpuSeconds()];
  for (let round = 1; round <= rounds; round++) {
    const host = (round * 7) % hosts;
    fleet.receipts = [];
    const othersBefore = othersCpuSeconds();
    const at = now();
    writeHost(host, `round-${round}`);
    const envoy = until(
      async () => (await marker(host)) === `round-${round}`,
      "the real Envoy follows",
      10_000,
      2,
    ).then(() => now() - at);
    await until(() => fleet.reached(clients), "every client has the change");
    changes.push(
      ...fleet.receipts.filter(({ kind }) => kind === "virtual-host").map((receipt) => receipt.at - at),
    );
    effective.push(await envoy);
    others.push((othersCpuSeconds() - othersBefore) * 1000);
    for (const receipt of fleet.receipts)
      bytes.add(`${receipt.kind} ${receipt.names.length}x ${receipt.bytes} bytes`);
  }
  const cpu = ((plane.cpuSeconds() - cpuBefore) * 1000) / rounds;
  const realCpu = ((real.cpuSeconds() - realBefore) * 1000) / rounds;
  report("one Mapping changed", changes);
  report("in effect on a real Envoy", effective);
  console.log(`  sent to each client: ${[...bytes].sort().join("; ")}`);
  console.log(
    `  CPU of the control plane: ${Math.round(cpu)} ms a change; of the real Envoy, with the requests that ask it: ${Math.round(realCpu)} ms`,
  );

  // Where others had the cores, a time says nothing.
  const slowest = [...effective.keys()]
    .sort((a, b) => (effective[b] as number) - (effective[a] as number))
    .slice(0, 4)
    .map(
      (round) =>
        `${round + 1}: ${Math.round(effective[round] as number)} (${Math.round(others[round] as number)})`,
    );
  const mean = others.reduce((sum, milliseconds) => sum + milliseconds, 0) / rounds;
  console.log(
    `  other work had ${Math.round(mean)} ms of the cores a change; slowest changes, and that in ms: ${slowest.join(", ")}`,
  );

  const rotations: number[] = [];
  const sent = new Set<string>();
  const cpuRotation = plane.cpuSeconds();
  for (let round = 1; round <= rounds; round++) {
    fleet.receipts = [];
    const at = now();
    await writeSecret(authority, (round * 13) % contexts);
    await until(() => fleet.reached(clients, "cluster"), "every client has the rotation");
    for (const receipt of fleet.receipts) {
      if (receipt.kind === "secret") rotations.push(receipt.at - at);
      sent.add(`${receipt.kind} ${receipt.names.length}x`);
    }
  }
  report("one Secret rotated", rotations);
  console.log(`  sent to each client: ${[...sent].sort().join("; ")}`);
  console.log(
    `  CPU of the control plane: ${Math.round(((plane.cpuSeconds() - cpuRotation) * 1000) / rounds)} ms a rotation`,
  );
  console.log(`memory of the control plane: ${memories(plane)}`);
  const peak = memory(plane, "VmHWM");
  if (peak > Number(values["most-mb"])) throw new Error(`${peak} MB are more than ${values["most-mb"]} MB`);
}

async function writeResources(authority: Authority): Promise<void> {
  mkdirSync(join(workspace.directory, "resources"));
  for (let host = 0; host < hosts; host++) writeHost(host, "start");
  const ofContexts = Array.from(
    { length: contexts },
    (_, index) =>
      `apiVersion: getambassador.io/v2\nkind: TLSContext\nmetadata: { name: context-${index} }\n` +
      `spec: { hosts: [], secret: secret-${index}, ca_secret: ca }\n`,
  );
  workspace.write("resources/contexts.yaml", ofContexts.join("---\n"));
  workspace.write("resources/ca.yaml", secretYaml("ca", { "ca.crt": authority.certificate }));
  for (let index = 0; index < contexts; index++) await writeSecret(authority, index);
}

type Authority = Awaited<ReturnType<typeof createAuthority>>;

/** A host's Mappings, and one that tells which state of the file is in effect. */
function writeHost(host: number, state: string): void {
  const documents: string[] = [];
  for (let index = host; index < mappings; index += hosts) {
    documents.push(
      `apiVersion: getambassador.io/v2\nkind: Mapping\nmetadata: { name: mapping-${index} }\n` +
        `spec: { host: host-${host}.example, prefix: /service-${index}/, service: "127.0.0.1:${10_000 + index}", tls: context-${index % contexts} }\n`,
    );
  }
  documents.push(
    `apiVersion: getambassador.io/v2\nkind: Mapping\nmetadata: { name: state-${host} }\n` +
      `spec: { host: host-${host}.example, prefix: /state/, service: ${state}.example, host_redirect: true }\n`,
  );
  replace(`resources/host-${host}.yaml`, documents.join("---\n"));
}

async function writeSecret(authority: Authority, index: number): Promise<void> {
  const issued = await authority.issue({ commonName: `client ${index}`, usage: "client" });
  const parts = { "tls.crt": issued.certificate, "tls.key": issued.privateKey };
  replace(`resources/secret-${index}.yaml`, secretYaml(`secret-${index}`, parts));
}

function secretYaml(name: string, parts: Readonly<Record<string, string>>): string {
  const data = Object.entries(parts).map(
    ([key, text]) => `  ${key}: ${Buffer.from(text).toString("base64")}\n`,
  );
  return `apiVersion: v1\nkind: Secret\nmetadata: { name: ${name} }\ndata:\n${data.join("")}`;
}

/** As careful writers do. */
function replace(path: string, text: string): void {
  renameSync(workspace.write(`new/${path}`, text), join(workspace.directory, path));
}

async function startEnvoy(): Promise<Running> {
  const { ca, client } = workspace.files;
  const args = ["envoy", "bootstrap", "--xds-address", `localhost:${xdsPort}`, "--node-id", "real"];
  args.push("--ca", ca, "--cert", client.certificate, "--key", client.key);
  const file = workspace.write("envoy.yaml", execFileSync(process.execPath, [credence, ...args]));
  const before = now();
  const envoy = start(
    {
      file: join(root, ".cache/envoy/envoy"),
      args: ["-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"],
    },
    PEER_CORE,
  );
  await until(async () => (await marker(0)) === "start", "the real Envoy serves", 60_000);
  console.log(`a real Envoy has the world after ${seconds(now() - before)}`);
  return envoy;
}

/** Which state of a host's file the real Envoy serves; null: none. */
function marker(host: number): Promise<string | null> {
  return new Promise((resolve) => {
    const headers = { host: `host-${host}.example` };
    get({ port: httpPort, host: "127.0.0.1", path: "/state/", headers, agent }, (response) => {
      response.resume();
      resolve(/^https?:\/\/([^./]+)\.example/.exec(response.headers.location ?? "")?.[1] ?? null);
    }).on("error", () => resolve(null));
  });
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function until(
  isSo: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 120_000,
  everyMs = 5,
): Promise<void> {
  const end = now() + limitMs;
  while (!(await isSo())) {
    if (now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

function report(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number);
  console.log(
    `${what}: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms (${sorted.length} of them)`,
  );
}

function memory({ pid }: Running, field: "VmRSS" | "VmHWM" = "VmRSS"): number {
  const kilobytes = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kilobytes) / 1000);
}

function memories(plane: Running): string {
  return `${memory(plane)} MB now, ${memory(plane, "VmHWM")} MB at most`;
}

/** Says more than the time where other work shares the machine. */
function spent(plane: Running): string {
  return `CPU of the control plane ${plane.cpuSeconds().toFixed(1)} s so far`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
