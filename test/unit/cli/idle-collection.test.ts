import assert from "node:assert/strict";
import { test } from "node:test";
import { collectWhenIdle } from "../../../src/cli/envoy/idle-collection.ts";
import { handClock } from "../../support/clock.ts";

const MB = 1024 * 1024;

test("the heap is collected at the start, and again when much has come and nothing is to be done", () => {
  const clock = handClock();
  const pass = (milliseconds: number): void => {
    for (let left = milliseconds; left > 0; left -= 500) clock.move(500);
  };
  const heap = { old: 100 * MB, share: 0, collections: 0 };
  const stop = collectWhenIdle(clock, {
    collect() {
      heap.collections++;
      heap.old = 100 * MB;
    },
    oldBytes: () => heap.old,
    busy: () => heap.share,
  });
  assert.equal(heap.collections, 1);
  pass(10_000);
  assert.equal(heap.collections, 1, "nothing has come");
  heap.old = 130 * MB;
  heap.share = 0.5;
  pass(10_000);
  assert.equal(heap.collections, 1, "something is done");
  heap.share = 0;
  pass(500);
  assert.equal(heap.collections, 1, "for a moment nothing is");
  pass(500);
  assert.equal(heap.collections, 2);
  heap.old = 90 * MB;
  pass(1000);
  heap.old = 99 * MB;
  pass(1000);
  assert.equal(heap.collections, 3, "V8 had collected it meanwhile");
  stop();
  heap.old = 200 * MB;
  pass(10_000);
  assert.equal(heap.collections, 3);
});
