import assert from "node:assert/strict";
import { test } from "node:test";
import { FindingsLog } from "../../../src/control/findings-log.ts";
import { diagnose } from "../../../src/diagnostics/catalogue.ts";
import type { Diagnostic } from "../../../src/diagnostics/diagnostic.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";

test("a finding is logged when it appears and when it is gone, whoever says it meanwhile", () => {
  const { log, said } = logInto();
  const first = found("a", 1);
  log.tell([found("b", 2), first]);
  assert.deepEqual(said(), ["a at 1", "b at 2"]);
  log.tell([found("b", 2), first]);
  log.tell([first, found("b", 2)]);
  assert.deepEqual(said(), [], "another object and another order say nothing new");
  log.tell([found("b", 2)]);
  assert.deepEqual(said(), ["no longer: a at 1"]);
  log.tell([found("b", 2), first]);
  assert.deepEqual(said(), ["a at 1"], "one that comes back is told again");
  log.tell([]);
  assert.deepEqual(said(), ["no longer: a at 1", "no longer: b at 2"]);
});

test("a finding that moves is told where it is, and is not said to be over", () => {
  const { log, said } = logInto();
  log.tell([found("a", 1)]);
  said();
  log.tell([found("a", 7)]);
  assert.deepEqual(said(), ["a at 7"]);
});

test("of two that say the same one is told, and it is over when both are", () => {
  const { log, said } = logInto();
  log.tell([found("a", 1), found("a", 1)]);
  assert.deepEqual(said(), ["a at 1"]);
  log.tell([found("a", 1)]);
  assert.deepEqual(said(), []);
  log.tell([]);
  assert.deepEqual(said(), ["no longer: a at 1"]);
});

test("of two about one object that say different things, the end of one is not the end of it", () => {
  const { log, said } = logInto();
  const [one, other] = [found("a", 1), found("a", 9)];
  log.tell([one, other]);
  said();
  log.tell([other]);
  assert.deepEqual(said(), []);
  log.tell([]);
  assert.deepEqual(said(), ["no longer: a at 9"]);
});

function logInto(): { log: FindingsLog; said: () => string[] } {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push((JSON.parse(line) as { msg: string }).msg);
  return { log: new FindingsLog(createLogger("info", { write })), said: () => lines.splice(0) };
}

function found(name: string, line: number): Diagnostic {
  return diagnose("object-duplicate", {
    subject: { kind: "Mapping", namespace: "default", name },
    source: { file: "a.yaml", line, column: 1 },
    message: `${name} at ${line}`,
  });
}
