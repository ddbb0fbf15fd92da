import assert from "node:assert/strict";
import { test } from "node:test";
import { createFailureLog } from "../../../src/control/failure-log.ts";
import { FailureHistory } from "../../../src/control/failures.ts";
import type { FailureReason, FailureRecord } from "../../../src/diagnostics/failure.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";

function failure(id: string, reason: FailureReason, second = 0): FailureRecord {
  const time = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return { id, time, route: null, reason, cause: "a cause", upstream: null };
}

test("the newest come first, whoever caused them", () => {
  const history = new FailureHistory();
  history.add(failure("a", "upstream_reset", 1));
  history.add(failure("b", "no_route", 2));
  history.add(failure("c", "upstream_reset", 3));
  history.add(failure("d", "upstream_reset", 3));
  assert.deepEqual(
    history.recent().map(({ id }) => id),
    ["d", "c", "b", "a"],
  );
});

test("a flood of clients' own faults pushes out no other", () => {
  const history = new FailureHistory(10);
  history.add(failure("kept", "route_fails_closed"));
  for (let i = 0; i < 1000; i++) history.add(failure(`noise ${i}`, "bad_request"));
  assert.equal(history.find("kept")?.reason, "route_fails_closed");
  assert.equal(history.find("noise 0"), undefined);
  assert.notEqual(history.find("noise 999"), undefined);
  for (let i = 0; i < 10; i++) history.add(failure(`newer ${i}`, "upstream_reset"));
  assert.equal(history.find("kept"), undefined);
});

test("failures are logged with their id, at most twenty a second of one reason; the rest is counted", () => {
  const lines: Record<string, unknown>[] = [];
  let now = 0;
  const log = createFailureLog(createLogger("info", { write: (line) => void lines.push(JSON.parse(line)) }), {
    now: () => now,
    after: () => () => {},
  });
  for (let i = 0; i < 50; i++) log(failure(`x${i}`, "upstream_reset"));
  log(failure("other", "route_fails_closed"));
  assert.equal(lines.length, 21);
  assert.equal(lines[0]?.failure_id, "x0");
  assert.equal(lines[20]?.failure_id, "other");
  now = 1000;
  log(failure("next second", "upstream_reset"));
  assert.equal(lines[21]?.count, 30);
  assert.equal(lines[22]?.failure_id, "next second");
});
