import assert from "node:assert/strict";
import { test } from "node:test";
import { GATHERED_BYTES, Gathered } from "../../../src/engines/node/gathered.ts";

function take(): Gathered {
  const gathered = Gathered.take();
  assert.ok(gathered !== null);
  return gathered;
}

test("what has landed where it was to go need not be copied, and anywhere else it must", () => {
  const gathered = take();
  assert.ok(gathered.lend(100, 50));
  assert.ok(gathered.awaits);
  const { landing } = gathered;
  landing.fill(7, 0, 20);
  const short = gathered.receive(20);
  assert.deepEqual([short.length, gathered.awaits], [20, false]);
  assert.ok(short.every((byte) => byte === 7));
  assert.ok(gathered.holds(short, 100));
  assert.ok(!gathered.holds(short, 0));
  assert.ok(!gathered.holds(Buffer.from(short), 100));
  assert.ok(gathered.lend(120, 50));
  assert.ok(!gathered.holds(short, 100));
  const whole = gathered.receive(50);
  assert.ok(gathered.holds(whole, 120));
  gathered.reclaim();
  assert.ok(!gathered.holds(whole, 120));
  gathered.release();
});

test("memory that a socket may still write to serves nobody else, though its writer is done with it", () => {
  const first = take();
  first.release();
  const again = take();
  assert.equal(again, first);
  assert.ok(again.lend(0, 10));
  again.release();
  const other = take();
  assert.notEqual(other, again);
  again.reclaim();
  assert.equal(take(), again);
  other.release();
  again.release();
});

test("only so much is lent, and that is still gathered", () => {
  const all = Array.from({ length: 40 }, take);
  const lent = all.filter((each) => each.lend(0, GATHERED_BYTES));
  assert.equal(lent.length, 32);
  lent.pop()?.reclaim();
  assert.ok(all.at(-1)?.lend(0, 10));
  for (const each of all) {
    if (each.lent) each.reclaim();
    each.release();
  }
});
