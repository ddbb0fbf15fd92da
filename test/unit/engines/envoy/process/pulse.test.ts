import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, patienceOf, watchPulse } from "../../../../../src/engines/envoy/process/pulse.ts";

async function told(answers: readonly Answer[], killAfter: number | null): Promise<string[]> {
  const events: string[] = [];
  let at = 0;
  await watchPulse(
    async () => answers[at++] ?? "silence",
    { questionMs: 1, reportAfter: 2, killAfter },
    {
      onLive: () => events.push(`live ${at}`),
      onSilent: () => events.push(`silent ${at}`),
      onLost: () => events.push(`lost ${at}`),
    },
    () => at > answers.length,
  );
  return events;
}

test("silence is counted in a row, and each is told once", async () => {
  assert.deepEqual(
    await told(["unreachable", "initializing", "live", "live", "silence", "live", "silence"], 4),
    ["live 3"],
  );
  assert.deepEqual(
    await told(
      ["live", "silence", "silence", "silence", "live", "silence", "silence", "silence", "silence"],
      4,
    ),
    ["live 1", "silent 3", "live 5", "silent 7", "lost 9"],
  );
  assert.deepEqual(await told(Array<Answer>(20).fill("silence"), null), ["silent 2"]);
});

test("it is said long before it is acted upon", () => {
  for (const milliseconds of [1_000, 6_000, 30_000, 600_000]) {
    const { questionMs, reportAfter, killAfter } = patienceOf(milliseconds);
    assert.ok(killAfter !== null && reportAfter * 2 < killAfter);
    assert.ok(questionMs * killAfter >= milliseconds);
  }
  assert.equal(patienceOf(0).killAfter, null);
});
