import assert from "node:assert/strict";
import { test } from "node:test";
import { requestId } from "../../../src/engines/node/request-id.ts";
import { SharedBuffer } from "../../../src/engines/node/shared-buffer.ts";
import { atTurnEnd, turnTime } from "../../../src/engines/node/turn.ts";

const turnOver = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("waiters are called once, in their order, behind everything that the turn does", async () => {
  const called: string[] = [];
  const waiter = (name: string) => ({ onTurnEnd: () => void called.push(name) });
  const first = waiter("first");
  atTurnEnd(first);
  atTurnEnd(waiter("second"));
  await Promise.resolve();
  assert.deepEqual(called, []);
  await turnOver();
  assert.deepEqual(called, ["first", "second"]);
  await turnOver();
  assert.deepEqual(called, ["first", "second"]);
  atTurnEnd(first);
  await turnOver();
  assert.deepEqual(called, ["first", "second", "first"]);
});

test("who waits again while waiters are called is called at the end of the next turn", async () => {
  let calls = 0;
  const waiter = {
    onTurnEnd(): void {
      if (++calls < 3) atTurnEnd(waiter);
    },
  };
  atTurnEnd(waiter);
  await turnOver();
  const afterOne = calls;
  for (let turn = 0; turn < 5; turn++) await turnOver();
  assert.equal(afterOne, 1);
  assert.equal(calls, 3);
});

test("a turn has one time, and the next one a later one", async () => {
  const before = performance.now();
  const time = turnTime();
  assert.ok(time >= before);
  while (performance.now() < before + 2);
  assert.equal(turnTime(), time);
  await turnOver();
  await turnOver();
  assert.ok(turnTime() >= before + 2);
});

test("a request's ID is a random UUID, and none comes twice", () => {
  const ids = new Set<string>();
  for (let count = 0; count < 5000; count++) {
    const id = requestId();
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    ids.add(id);
  }
  assert.equal(ids.size, 5000);
});

test("a view shows the first bytes, whatever they are then", () => {
  const buffer = new SharedBuffer();
  for (const count of [0, 1, 2048, 2049, 65_536]) {
    buffer.bytes.fill(count);
    assert.ok(buffer.view(count).equals(Buffer.alloc(count, count)), String(count));
    buffer.bytes.fill(7);
    assert.ok(buffer.view(count).equals(Buffer.alloc(count, 7)), String(count));
  }
});
