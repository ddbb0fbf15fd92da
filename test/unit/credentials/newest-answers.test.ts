import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { newestAnswers } from "../../../src/credentials/newest-answers.ts";
import { handClock } from "../../support/clock.ts";

/** A stream of which a test says when what comes. */
class Wire implements AsyncIterable<number> {
  read = 0;
  readonly #queue: (number | Error | null)[] = [];
  #wake: () => void = () => {};

  /** null: the end. */
  send(...answers: (number | Error | null)[]): void {
    this.#queue.push(...answers);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<number> {
    for (;;) {
      const next = this.#queue.shift();
      if (next === null) return;
      if (next instanceof Error) throw next;
      if (next === undefined)
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      else {
        this.read++;
        yield next;
      }
    }
  }
}

let clock: ReturnType<typeof handClock>;
let wire: Wire;
let taken: number[];
let ended: string | null;
let workMs: number;
let abort: AbortController;

beforeEach(() => {
  [clock, wire, taken, ended, workMs, abort] = [handClock(), new Wire(), [], null, 0, new AbortController()];
  void (async () => {
    try {
      for await (const answer of newestAnswers(wire, clock, abort.signal)) {
        taken.push(answer);
        if (workMs > 0) clock.move(workMs);
      }
      ended = "ended";
    } catch (error) {
      ended = (error as Error).message;
    }
  })();
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function advance(milliseconds: number): Promise<void> {
  clock.move(milliseconds);
  await settle();
}

test("the first is taken at once, and of those that follow in the pause the newest", async () => {
  wire.send(1);
  await settle();
  assert.deepEqual(taken, [1]);
  wire.send(2, 3, 4);
  await settle();
  await advance(99);
  assert.deepEqual(taken, [1]);
  await advance(1);
  assert.deepEqual(taken, [1, 4]);
  await advance(100);
  wire.send(5);
  await settle();
  assert.deepEqual(taken, [1, 4, 5], "after a pause without any the next is taken at once");
});

test("a flood is left unread but for a few, and its last answer is taken in the end", async () => {
  wire.send(...Array.from({ length: 100 }, (_, index) => index));
  await settle();
  for (let count = 1; count <= 5; count++) {
    await advance(100);
    assert.ok(wire.read <= 10 * (count + 1), `${wire.read} read`);
    assert.equal(taken.length, count + 1);
  }
  for (let count = 0; count < 20; count++) await advance(100);
  assert.equal(taken.at(-1), 99);
  assert.ok(taken.length < 20, `${taken.length} taken`);
});

test("one that takes long to take has the next wait ten times as long", async () => {
  workMs = 50;
  wire.send(1, 2);
  await settle();
  await advance(499);
  assert.deepEqual(taken, [1]);
  await advance(1);
  assert.deepEqual(taken, [1, 2]);
});

for (const [how, last] of [
  ["ended", null],
  ["broken off", new Error("reset")],
] as const)
  test(`the newest of a stream that is ${how} in the pause is not lost`, async () => {
    wire.send(1);
    await settle();
    wire.send(2, last);
    await settle();
    assert.deepEqual(taken, [1, 2]);
    assert.equal(ended, last === null ? "ended" : "reset");
  });

test("nothing is taken of a stream that nobody wants any more", async () => {
  wire.send(1);
  await settle();
  wire.send(2);
  await settle();
  abort.abort();
  await advance(1000);
  assert.deepEqual(taken, [1]);
});
