import { threadCpuUsage } from "node:process";

/**
 * How long this process, with gateway, peers and clients in it, was kept from running by whatever else the machine does: time in
 * which it neither waited for anything nor had the CPU, and time by which a timer was late without that. A gateway that blocks has
 * the CPU, and is no excuse.
 */
export class Starvation {
  /** The longest at a time, in milliseconds. */
  longest = 0;
  #total = 0;
  #last = usage();
  #due = this.#last.at + TICK_MS;
  readonly #timer = setInterval(() => this.#look(), TICK_MS).unref();

  /** As `performance.now()`, of a clock that stands still meanwhile. */
  readonly now = (): number => {
    this.#look();
    return this.#last.at - this.#total;
  };

  /** Milliseconds in all. */
  get total(): number {
    return Math.round(this.#total);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { at, idle, cpu } = usage();
    const had = cpu - this.#last.cpu;
    const unaccounted = at - this.#last.at - (idle - this.#last.idle) - had;
    // Who is stopped while it waits seems to wait.
    const starved = Math.max(0, unaccounted, at - this.#due - had);
    this.#total += starved;
    this.longest = Math.max(this.longest, Math.round(starved));
    this.#last = { at, idle, cpu };
    this.#due = at + TICK_MS;
  }
}

interface Usage {
  readonly at: number;
  /** Waiting for something to do. */
  readonly idle: number;
  readonly cpu: number;
}

/** Each since some moment, in milliseconds. */
function usage(): Usage {
  const { user, system } = threadCpuUsage();
  const { idle } = performance.eventLoopUtilization();
  return { at: performance.now(), idle, cpu: (user + system) / 1000 };
}

const TICK_MS = 100;
