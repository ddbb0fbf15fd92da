import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { lazyFollower } from "../../../src/cli/lazy-follower.ts";

/** What rejects and nobody hears. */
function unheard(t: TestContext): unknown[] {
  const heard: unknown[] = [];
  const listener = (reason: unknown): void => void heard.push(reason);
  process.on("unhandledRejection", listener);
  t.after(() => process.off("unhandledRejection", listener));
  return heard;
}

test("what could not be loaded is loaded when it is wanted next, and settling or stopping meanwhile costs nothing", async (t) => {
  const heard = unheard(t);
  const followed: string[][] = [];
  let loads = 0;
  let stops = 0;
  const { follow, settle, stop } = lazyFollower<{ name: string }>(async () => {
    if (++loads < 3) throw new Error("EMFILE");
    return {
      follow: async (wanted) => void followed.push(wanted.map(({ name }) => name)),
      stop: () => void stops++,
    };
  });
  const first = follow([{ name: "a" }]);
  settle();
  await assert.rejects(first, /EMFILE/);
  await assert.rejects(follow([{ name: "a" }]), /EMFILE/);
  await follow([{ name: "a" }, { name: "b" }]);
  assert.deepEqual(followed, [["a", "b"]]);
  assert.equal(loads, 3);
  stop();
  await new Promise(setImmediate);
  assert.equal(stops, 1);
  assert.deepEqual(heard, []);
});

test("what is stopped while it cannot be loaded stays stopped in silence", async (t) => {
  const heard = unheard(t);
  const { follow, stop } = lazyFollower<{ name: string }>(async () => {
    throw new Error("EMFILE");
  });
  const following = follow([{ name: "a" }]);
  stop();
  await assert.rejects(following, /EMFILE/);
  await new Promise(setImmediate);
  assert.deepEqual(heard, []);
});
