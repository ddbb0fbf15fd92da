import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const LOGGER = new URL("../../../src/telemetry/logger.ts", import.meta.url);

/** What steers a terminal: ESC, C1's CSI, carriage return, bell, delete, and what turns the direction of writing. */
const HOSTILE = "\x1b[2J\x1b[31m\x9b2J\r\x07\x7f\u202e";
const STEERING = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/;

function written(statement: string): string {
  const script = `import { createLogger, logDestination } from ${JSON.stringify(LOGGER.href)};
    const hostile = ${JSON.stringify(HOSTILE)};
    const logger = createLogger("info", logDestination("pretty", 1));
    ${statement}`;
  // The last line before an end must not be lost either.
  const args = ["--input-type=module", "--eval", `${script}; process.exit();`];
  return execFileSync(process.execPath, args, { encoding: "utf8" });
}

test("values, names, messages and errors that others had a say in do not steer a terminal", () => {
  const text = written(
    'logger.info({ path: hostile, [hostile]: [hostile], err: new Error(hostile) }, "message " + hostile)',
  );
  assert.match(text, /INFO: message /);
  assert.match(text, /"path":"/);
  assert.doesNotMatch(text, STEERING);
});

test("a line break in a message begins no entry", () => {
  const lines = written('logger.info("one\\n[00:00:00.000] ERROR: two"); logger.info("three")').split("\n");
  assert.equal(lines.filter((line) => line.startsWith("[")).length, 2);
});
