// What many credentials cost: `node bench/credentials.ts [--count 1000] [--rotations 100]`. A start with that many
// Secrets, then each of them rotated, one after another, by its YAML file, and by certificate files that are named.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { CredentialStore } from "../src/credentials/store.ts";
import { wirePlane } from "../src/cli/plane.ts";
import { createDnsEndpoints } from "../src/endpoints/dns.ts";
import { createNodeEngine } from "../src/engines/node/engine.ts";
import { systemClock } from "../src/telemetry/clock.ts";
import { createLogger } from "../src/telemetry/logger.ts";
import { type Issued, issue, issueCa, NAMES } from "../test/support/issuing.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "1000" },
    rotations: { type: "string" },
    only: { type: "string" },
  },
});
const count = Number(values.count);
const rotations = Number(values.rotations ?? count);
/** Until what was just written is not looked at for its age any more, and V8 has collected what the start left (it waits for eight seconds of calm). */
const CALM_MS = 12_000;
/** As long as looking at all files comes round in, twice. */
const REST_MS = 10_000;
const YEAR_MS = 365 * 86_400_000;
const until = { notAfter: new Date(Date.now() + YEAR_MS) };
const ca = issueCa({ subject: "bench CA", ...until });

/** Writes what there is to write, each time that it is asked: each file beside its place, and renamed into it. */
const WRITER = `
const { renameSync, writeFileSync } = require("node:fs");
const { issued, asked } = require("node:worker_threads").workerData;
for (const [index, texts] of issued.entries()) {
  Atomics.wait(asked, 0, index);
  for (const [path, text] of Object.entries(texts)) {
    writeFileSync(path + ".new", text);
    renameSync(path + ".new", path);
  }
}`;

const folder = mkdtempSync(join(tmpdir(), "credence-bench-"));
const files = mkdtempSync(join(tmpdir(), "credence-bench-files-"));
process.on("exit", () => {
  for (const directory of [folder, files]) rmSync(directory, { recursive: true, force: true });
});

const measures: Readonly<Record<string, () => void | Promise<void>>> = {
  store: measureStore,
  async start() {
    writeSecrets();
    await measureStart();
  },
  async secrets() {
    writeSecrets();
    await measureRotations("by its Secret's file", (index) => ({
      [join(folder, `secret-${index}.yaml`)]: secretOf(index),
    }));
  },
  async files() {
    writeNamedFiles();
    await measureRotations("by files that a TLSContext names", pairOf);
  },
};
for (const [name, measure] of Object.entries(measures))
  if (values.only === undefined || values.only.split(",").includes(name)) await measure();
process.exit();

function writeSecrets(): void {
  for (let index = 0; index < count; index++)
    writeFileSync(join(folder, `secret-${index}.yaml`), secretOf(index));
  writeGateway((index) => `secret: secret-${index}`);
}

function writeNamedFiles(): void {
  for (let index = 0; index < count; index++) {
    rmSync(join(folder, `secret-${index}.yaml`), { force: true });
    for (const [path, text] of Object.entries(pairOf(index))) writeFileSync(path, text);
  }
  writeGateway(namedFiles);
}

function writeGateway(fields: (index: number) => string): void {
  const all = Array.from({ length: count }, (_, index) => context(index, fields(index)) + mapping(index));
  writeFileSync(join(folder, "gateway.yaml"), all.join(""));
}

async function measureStart(): Promise<void> {
  const ready = join(files, "ready.json");
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [
      "bin/credence.js",
      "run",
      folder,
      "--http-port",
      "0",
      "--admin-port",
      "0",
      "--ready-file",
      ready,
      "--log-level",
      "silent",
    ],
    { stdio: "inherit" },
  );
  while (!existsSync(ready)) {
    if (child.exitCode !== null) throw new Error("the gateway did not start");
    await wait(5);
  }
  console.log(
    `start with ${count} Secrets: ${(performance.now() - began).toFixed(0)} ms until ready, process and all`,
  );
  child.kill("SIGTERM");
  await new Promise((resolve) => child.once("exit", resolve));
  rmSync(ready, { force: true });
}

/**
 * One after another: the next is written, by another thread, when the one before is in use. What this thread computes meanwhile
 * is the cost; a file is noticed and believed after a while, in which looking at the others goes on.
 */
async function measureRotations(
  how: string,
  made: (index: number) => Readonly<Record<string, string>>,
): Promise<void> {
  // Whoever issues certificates does not do it in the gateway, nor leaves it their garbage.
  const issued = Array.from({ length: rotations }, (_, index) => made(index));
  const asked = new Int32Array(new SharedArrayBuffer(4));
  const writer = new Worker(WRITER, { eval: true, workerData: { issued, asked } });
  const [clock, logger] = [systemClock, createLogger("silent")];
  const plane = wirePlane({
    paths: [folder],
    ambassadorId: "default",
    compile: {
      engine: "node",
      address: "127.0.0.1",
      httpPort: 0,
      httpsPort: 0,
    },
    incompleteStart: "not-ready",
    logger,
    clock,
    engine: ({ store, ...parts }) =>
      createNodeEngine({
        ...parts,
        credentials: store,
        endpoints: createDnsEndpoints({ clock, logger }),
        logger,
        clock,
        accessLog: undefined,
        limits: {},
      }),
  });
  const before = performance.now();
  const cpuBefore = mainThreadMs();
  const unwatch = plane.source.watch(() => void plane.control.reload("noticed"));
  await plane.control.reload();
  console.log(
    `${how}: ${(performance.now() - before).toFixed(0)} ms until the first revision, in the process; ${(mainThreadMs() - cpuBefore).toFixed(0)} ms of the main thread`,
  );
  let onUse: () => void = () => {};
  plane.store.onChange(({ kind, event }) => {
    if (kind === "credential" && event === "rotated") onUse();
  });
  await wait(CALM_MS);
  const idle = mainThreadMs();
  await wait(REST_MS);
  const restRate = (mainThreadMs() - idle) / REST_MS;
  console.log(`${how}: ${(100 * restRate).toFixed(2)} % of the main thread at rest`);
  const began = performance.now();
  const start = mainThreadMs();
  for (let index = 0; index < rotations; index++) {
    const inUse = new Promise<void>((resolve) => {
      onUse = resolve;
    });
    Atomics.add(asked, 0, 1);
    Atomics.notify(asked, 0);
    await inUse;
  }
  await wait(1000);
  const busy = mainThreadMs() - start;
  const elapsed = performance.now() - began;
  const each = busy / rotations;
  const rest = (restRate * elapsed) / rotations;
  console.log(
    `${how}: ${rotations} rotated in ${(elapsed / 1000).toFixed(1)} s, ${each.toFixed(2)} ms of the main thread each: ${rest.toFixed(2)} ms in which it costs that at rest, and ${(each - rest).toFixed(2)} ms`,
  );
  await writer.terminate();
  unwatch();
  plane.control.stop();
  await plane.engine.stop();
  plane.close();
}

/** As issuers deliver that speak to the gateway: no file is in between, and nobody listens. */
function measureStore(): void {
  const store = new CredentialStore(systemClock);
  const trustAnchors = ca.pem;
  const offers = Array.from({ length: 2 * count }, (_, index) => {
    const issued = certificate(index);
    return { certificateChain: issued.pem, privateKey: keyOf(issued), trustAnchors };
  });
  for (const [round, what] of ["offered for the first time", "rotated"].entries()) {
    const began = mainThreadMs();
    for (let index = 0; index < count; index++) {
      const name = `secret/default/secret-${index}`;
      const origin = { subject: { kind: "Secret", namespace: "default", name } };
      store.offer(name, offers[round * count + index] as (typeof offers)[number], origin);
    }
    console.log(`the store: ${count} ${what}, ${((mainThreadMs() - began) / count).toFixed(2)} ms each`);
  }
  store.close();
}

/** What this thread has computed, whatever else the machine does. */
function mainThreadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function certificate(index: number): Issued {
  return issue({ by: ca, subject: `leaf ${index}`, names: [NAMES.dns(`s${index}.example`)], ...until });
}

function keyOf({ keys }: Issued): string {
  return keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

function secretOf(index: number): string {
  const issued = certificate(index);
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return `apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: { name: secret-${index} }\ndata:\n  tls.crt: ${base64(issued.pem)}\n  tls.key: ${base64(keyOf(issued))}\n  ca.crt: ${base64(ca.pem)}\n`;
}

function pairOf(index: number): Record<string, string> {
  const issued = certificate(index);
  return { [join(files, `${index}.crt`)]: issued.pem, [join(files, `${index}.key`)]: keyOf(issued) };
}

function namedFiles(index: number): string {
  return `cert_chain_file: ${join(files, `${index}.crt`)}, private_key_file: ${join(files, `${index}.key`)}`;
}

function context(index: number, fields: string): string {
  return `---\napiVersion: getambassador.io/v2\nkind: TLSContext\nmetadata: { name: context-${index} }\nspec: { hosts: [], ${fields} }\n`;
}

function mapping(index: number): string {
  return `---\napiVersion: getambassador.io/v2\nkind: Mapping\nmetadata: { name: mapping-${index} }\nspec: { prefix: /${index}/, service: "https://s${index}.example:8443", tls: context-${index} }\n`;
}
