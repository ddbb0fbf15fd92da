import type { Clock } from "../telemetry/clock.ts";

/**
 * The answers of a stream at a pace that its issuer does not set: the first at once, and after each a pause, ten times as long as
 * it was at work. Of those that come meanwhile the newest is what counts, and it is never lost; what is more than a few is left
 * unread, so that the flow control of the connection holds the issuer up. Ends as `answers` do; says nothing once aborted.
 */
export async function* newestAnswers<Answer>(
  answers: AsyncIterable<Answer>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Answer, void> {
  const iterator = answers[Symbol.asyncIterator]();
  const read = (): Promise<IteratorResult<Answer>> => {
    const reading = iterator.next();
    // It may fail when nobody waits for it any more.
    reading.catch(() => {});
    return reading;
  };
  let pause: Promise<typeof PAUSED> = Promise.resolve(PAUSED);
  try {
    let reading = read();
    for (;;) {
      let newest = await reading;
      if (newest.done === true) return;
      for (let count = 1; ; count++) {
        reading = read();
        if (count === MOST_READ) await pause;
        const next = await Promise.race([pause, reading.catch(() => ENDED)]);
        if (next === PAUSED || next === ENDED || (next as IteratorResult<Answer>).done === true) break;
        newest = next as IteratorYieldResult<Answer>;
      }
      if (signal.aborted) return;
      const began = clock.now();
      yield newest.value;
      pause = paused(clock, Math.max(SHORTEST_PAUSE_MS, WORK_SHARE * (clock.now() - began)));
    }
  } finally {
    // Not waited for: it would come after a read that may last as long as the stream.
    iterator.return?.().catch(() => {});
  }
}

function paused(clock: Clock, milliseconds: number): Promise<typeof PAUSED> {
  return new Promise((resolve) => {
    clock.after(milliseconds, () => resolve(PAUSED));
  });
}

const PAUSED = Symbol("paused");
const ENDED = Symbol("ended");
const SHORTEST_PAUSE_MS = 100;
/** An issuer that never stops has a tenth of the main thread. */
const WORK_SHARE = 10;
/** Between two that are taken. */
const MOST_READ = 8;
