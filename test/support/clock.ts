import type { Clock } from "../../src/telemetry/clock.ts";

/** Time that moves when it is told to. */
export function handClock(start: number = Date.now()): Clock & { move(milliseconds: number): void } {
  let now = start;
  let timers: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    after(milliseconds, run) {
      const timer = { at: now + milliseconds, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    /** Sets the time and runs what is due at it, as often as something is. */
    move(milliseconds) {
      now += milliseconds;
      for (;;) {
        const due = timers.find(({ at }) => at <= now);
        if (due === undefined) return;
        timers = timers.filter((other) => other !== due);
        due.run();
      }
    },
  };
}
