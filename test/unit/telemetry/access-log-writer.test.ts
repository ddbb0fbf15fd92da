import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "../../support/fast-check.ts";
import type { AccessLogEntry } from "../../../src/telemetry/access-log.ts";
import { createAccessLogWriter } from "../../../src/telemetry/access-log-writer.ts";
import { descriptorSink } from "../../../src/telemetry/log-sink.ts";

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
  handshake: fc.option(text),
  failure_id: fc.option(text),
  revision: fc.nat(),
}) as fc.Arbitrary<AccessLogEntry>;

test("every line is the entry as JSON, whatever clients wrote into it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entries, { minLength: 1, maxLength: 5 }), async (written) => {
      let text = "";
      const writer = createAccessLogWriter((bytes, done) => {
        text += bytes;
        setImmediate(done);
      });
      for (const entry of written) writer.log(entry);
      await writer.flush();
      const lines = text.split("\n");
      assert.equal(lines.pop(), "");
      // JSON has no -0.
      assert.deepEqual(
        lines.map((line) => JSON.parse(line)),
        JSON.parse(JSON.stringify(written)),
      );
    }),
    { numRuns: 300 },
  );
});

test("a sink that fails costs its lines and nothing else", async () => {
  let calls = 0;
  const writer = createAccessLogWriter((_bytes, done) =>
    setImmediate(done, calls++ === 0 ? new Error("full") : null),
  );
  const [entry] = fc.sample(entries, 1) as [AccessLogEntry];
  writer.log(entry);
  await writer.flush();
  writer.log(entry);
  await writer.flush();
  assert.equal(calls, 2);
});

test("lines arrive by themselves within a moment, in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "credence-access-log-"));
  const file = join(folder, "access.log");
  const descriptor = openSync(file, "w");
  const writer = createAccessLogWriter(descriptorSink(descriptor));
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

test("a reader that does not read stops nobody: lines are dropped and counted, and the process can end", async () => {
  const folder = new URL("../../../src/telemetry/", import.meta.url).href;
  const program = `
    const { createAccessLogWriter } = await import("${folder}access-log-writer.ts");
    const { standardOutput } = await import("${folder}log-sink.ts");
    const writer = createAccessLogWriter(standardOutput());
    const entry = { path: "/".padEnd(1000, "x") };
    let longest = 0;
    for (let i = 0; i < 60; i++) {
      const started = performance.now();
      for (let j = 0; j < 500; j++) writer.log(entry);
      await new Promise((resolve) => setImmediate(resolve));
      longest = Math.max(longest, performance.now() - started);
    }
    await writer.flush();
    process.stderr.write(JSON.stringify({ longest, dropped: writer.dropped }));
    process.exit(0);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (piece) => {
    said += piece;
  });
  // Nobody ever reads child.stdout.
  const [code] = await once(child, "exit");
  assert.equal(code, 0, said);
  const { longest, dropped } = JSON.parse(said);
  assert.ok(dropped > 1000, `${dropped} lines dropped`);
  assert.ok(longest < 1000, `one turn took ${longest} ms`);
});
