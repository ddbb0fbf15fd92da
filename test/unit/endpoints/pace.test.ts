import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "../../../src/endpoints/pace.ts";
import { handClock } from "../../support/clock.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("so many questions are on their way at once; one that was answered, or was not for a while, makes room for the next", async () => {
  const clock = handClock();
  const pace = new Pace(clock);
  const asked: number[] = [];
  const answers = Array.from({ length: 200 }, () => Promise.withResolvers<void>());
  const all = answers.map(({ promise }, index) =>
    pace.run(() => {
      asked.push(index);
      return promise;
    }),
  );
  assert.equal(asked.length, 64);
  answers[5]?.resolve();
  answers[6]?.reject(new Error("lost"));
  await Promise.allSettled([all[5], all[6]]);
  await settled();
  assert.equal(asked.length, 66);
  clock.move(199);
  await settled();
  assert.equal(asked.length, 66);
  // Silent: all 64 of them count no more. One that is answered later frees no second place.
  clock.move(1);
  await settled();
  assert.equal(asked.length, 130);
  answers[0]?.resolve();
  await all[0];
  await settled();
  assert.equal(asked.length, 130);
  clock.move(200);
  await settled();
  assert.deepEqual(
    asked,
    Array.from({ length: 194 }, (_, index) => index),
  );
  for (const { resolve } of answers) resolve();
  await Promise.allSettled(all);
  assert.equal(asked.length, 200);
});
