import type { Clock } from "../telemetry/clock.ts";

/**
 * Lets so many questions be on their way at once, in the order in which they come: name servers, and the buffers of sockets,
 * lose what comes by the thousand. One that is not answered soon counts no more, so those keep nobody waiting.
 */
export class Pace {
  readonly #clock: Clock;
  #places = AT_ONCE;
  readonly #queue: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async run<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    if (this.#places > 0) this.#places--;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    let counts = true;
    const leave = (): void => {
      if (!counts) return;
      counts = false;
      const next = this.#queue.shift();
      if (next === undefined) this.#places++;
      else next();
    };
    const cancel = this.#clock.after(SOON_MS, leave);
    try {
      return await ask();
    } finally {
      cancel();
      leave();
    }
  }
}

const AT_ONCE = 64;
const SOON_MS = 200;
