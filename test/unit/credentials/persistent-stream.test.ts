import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type Attempt, PersistentStream } from "../../../src/credentials/persistent-stream.ts";
import { handClock } from "../../support/clock.ts";

let clock: ReturnType<typeof handClock>;
let attempts: { at: number; attempt: Attempt; end: (error?: Error) => void }[];
let troubles: (string | null)[];
let stream: PersistentStream;

beforeEach(() => {
  clock = handClock();
  attempts = [];
  troubles = [];
  stream = new PersistentStream({
    clock,
    random: () => 1,
    explain: (error) => (error as Error).message,
    onTrouble: (trouble) => troubles.push(trouble),
    open: (attempt) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error): void => (error === undefined ? resolve() : reject(error));
        attempts.push({ at: clock.now(), attempt, end });
        attempt.signal.addEventListener("abort", () => end(new Error("aborted")));
      }),
  });
});

afterEach(() => stream.stop());

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function advance(milliseconds: number): Promise<void> {
  clock.move(milliseconds);
  await settle();
}

function last(): (typeof attempts)[number] {
  return attempts.at(-1) as (typeof attempts)[number];
}

test("delays double up to a minute, whatever the failure", async () => {
  const began = clock.now();
  for (let count = 0; count < 9; count++) {
    last().end(new Error("down"));
    await settle();
    await advance(60_000);
  }
  const gaps = attempts.slice(1).map(({ at }, index) => at - (attempts[index]?.at ?? began));
  assert.equal(attempts.length, 10);
  assert.ok(gaps.every((gap) => gap <= 60_000));
  assert.deepEqual(troubles.slice(0, 2), ["down", "down"]);
});

test("a stream that answers and ends at once is no reason to hurry", async () => {
  for (const delay of [1000, 2000, 4000, 8000]) {
    const before = attempts.length;
    last().attempt.answered();
    last().end();
    await settle();
    await advance(delay - 1);
    assert.equal(attempts.length, before);
    await advance(1);
    assert.equal(attempts.length, before + 1);
  }
});

test("one that served for long and ended is opened again soon, and nothing is said of it", async () => {
  last().attempt.answered();
  await advance(24 * 3_600_000);
  assert.equal(attempts.length, 1, "silence is no failure");
  last().end();
  await settle();
  assert.deepEqual(troubles, [null]);
  await advance(1000);
  assert.equal(attempts.length, 2);
});

test("a slow first answer is said after 5 s and waited for; after a minute it is dialled anew", async () => {
  let isFirst = false;
  void stream.first.then(() => {
    isFirst = true;
  });
  await advance(4999);
  assert.equal(isFirst, false);
  await advance(1);
  assert.equal(isFirst, true);
  assert.deepEqual(troubles, ["no answer for 5 s"]);
  await advance(20_000);
  last().attempt.answered();
  assert.deepEqual(troubles, ["no answer for 5 s", null]);
  await advance(3_600_000);
  assert.equal(attempts.length, 1);
  last().end();
  await settle();
  await advance(1000);
  await advance(60_000);
  assert.ok(attempts[1]?.attempt.signal.aborted);
  assert.equal(troubles.at(-1), "no answer for 60 s");
  await advance(2000);
  assert.equal(attempts.length, 3);
});

test("an issuer that goes on with what is of no use is left alone for a while, and its trouble stays said", async () => {
  for (const delay of [1000, 2000, 4000]) {
    const before = attempts.length;
    for (let count = 0; count < 4; count++) last().attempt.troubled("garbage");
    assert.equal(last().attempt.signal.aborted, false);
    last().attempt.troubled("garbage");
    assert.equal(last().attempt.signal.aborted, true);
    await settle();
    assert.equal(troubles.at(-1), "garbage");
    await advance(delay - 1);
    assert.equal(attempts.length, before);
    await advance(1);
    assert.equal(attempts.length, before + 1);
  }
  for (let count = 0; count < 20; count++) {
    last().attempt.troubled("garbage");
    last().attempt.answered();
  }
  assert.equal(last().attempt.signal.aborted, false, "one that is put right in between is not");
});

test("once stopped nothing is opened or said", async () => {
  last().end(new Error("down"));
  await settle();
  stream.stop();
  await advance(120_000);
  assert.equal(attempts.length, 1);
  assert.deepEqual(troubles, ["down"]);
  await stream.first;
});
