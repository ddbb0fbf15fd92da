import assert from "node:assert/strict";
import { test } from "node:test";
import { joinLog } from "../../../../../src/engines/envoy/process/log-lines.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";

test("Envoy's lines become entries of our log, however they are cut", () => {
  const entries: { level: number; envoy: string; msg: string }[] = [];
  const log = joinLog(createLogger("debug", { write: (line: string) => entries.push(JSON.parse(line)) }));
  const text =
    "warning config gRPC config for \\'a\\' rejected: b\\nc\ninfo main starting\n\ncritical assert x\ncaught SIGSEGV\nerror main last";
  for (let at = 0; at < text.length; at += 7) log.write(text.slice(at, at + 7));
  assert.equal(entries.length, 4);
  log.end();
  assert.deepEqual(
    entries.map(({ level, envoy, msg }) => [level, envoy, msg]),
    [
      [40, "config", "gRPC config for 'a' rejected: b\nc"],
      [20, "main", "starting"],
      [50, "assert", "x"],
      [40, "process", "caught SIGSEGV"],
      [50, "main", "last"],
    ],
  );
});
