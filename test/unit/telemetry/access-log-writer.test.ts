import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { AccessLogEntry } from "../../../src/telemetry/access-log.ts";
import { createAccessLogWriter } from "../../../src/telemetry/access-log-writer.ts";

const text = fc.string({ unit: "binary", maxLength: 40 });
const entries = fc.record<Record<keyof AccessLogEntry, unknown>>({
  time: text,
  client: text,
  listener: text,
  method: text,
  path: text,
  host: text,
  status: fc.integer(),
  request_bytes: fc.nat(),
  response_bytes: fc.nat(),
  duration_ms: fc.double({ noNaN: true, noDefaultInfinity: true }),
  upstream_ms: fc.option(fc.nat()),
  request_id: text,
  route: fc.option(text),
  upstream: fc.option(text),
  tls_version: fc.option(text),
  tls_cipher: fc.option(text),
  client_identity: fc.option(text),
  upstream_tls_version: fc.option(text),
  upstream_tls_cipher: fc.option(text),
  identity_presented: fc.option(text),
  identity_verified: fc.option(text),
  failure: fc.option(text),
  failure_id: fc.option(text),
  revision: fc.nat(),
}) as fc.Arbitrary<AccessLogEntry>;

function inFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "credence-access-log-"));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("every line is the entry as JSON, whatever clients wrote into it", () => {
  inFolder((folder) => {
    const file = join(folder, "access.log");
    fc.assert(
      fc.property(fc.array(entries, { minLength: 1, maxLength: 5 }), (written) => {
        const descriptor = openSync(file, "w");
        const writer = createAccessLogWriter(descriptor);
        for (const entry of written) writer.log(entry);
        writer.flush();
        closeSync(descriptor);
        const lines = readFileSync(file, "utf8").split("\n");
        assert.equal(lines.pop(), "");
        const read = lines.map((line) => JSON.parse(line));
        // JSON has no -0.
        assert.deepEqual(read, JSON.parse(JSON.stringify(written)));
      }),
      { numRuns: 200 },
    );
  });
});

test("lines arrive by themselves within a moment, in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "credence-access-log-"));
  const file = join(folder, "access.log");
  const descriptor = openSync(file, "w");
  const writer = createAccessLogWriter(descriptor);
  const [entry] = fc.sample(entries, 1) as [AccessLogEntry];
  for (let i = 0; i < 5000; i++) writer.log({ ...entry, status: i });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const statuses = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).status);
  assert.deepEqual(statuses, [...Array(5000).keys()]);
  assert.equal(writer.dropped, 0);
  closeSync(descriptor);
  rmSync(folder, { recursive: true });
});

test("a reader that does not read stops nobody: lines are dropped and counted", async () => {
  const module = new URL("../../../src/telemetry/access-log-writer.ts", import.meta.url).href;
  const program = `
    const { createAccessLogWriter } = await import(${JSON.stringify(module)});
    const writer = createAccessLogWriter(1);
    const entry = { path: "/".padEnd(1000, "x") };
    let longest = 0;
    for (let i = 0; i < 60; i++) {
      const started = performance.now();
      for (let j = 0; j < 500; j++) writer.log(entry);
      await new Promise((resolve) => setImmediate(resolve));
      longest = Math.max(longest, performance.now() - started);
    }
    process.stderr.write(JSON.stringify({ longest, dropped: writer.dropped }));
    process.exit(0);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (piece) => {
    said += piece;
    // Only now somebody reads: the write under way must end for the process to.
    child.stdout.resume();
  });
  const [code] = await once(child, "close");
  assert.equal(code, 0, said);
  const { longest, dropped } = JSON.parse(said);
  assert.ok(dropped > 1000, `${dropped} lines dropped`);
  assert.ok(longest < 1000, `one turn took ${longest} ms`);
});
