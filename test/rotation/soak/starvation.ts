import { cpuUsage } from "node:process";

/**
 * How long this process, with gateway, peers and clients in it, was kept from running by whatever else the machine does: time in
 * which a timer was late and no thread of ours had the CPU. A gateway that blocks has it, and is no excuse.
 */
export class Starvation {
  /** The longest, in milliseconds. */
  longest = 0;
  #due = performance.now() + TICK_MS;
  #cpu = cpuUsage();
  readonly #timer = setInterval(() => this.#tick(), TICK_MS).unref();

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = performance.now();
    const { user, system } = cpuUsage(this.#cpu);
    this.longest = Math.max(this.longest, Math.round(now - this.#due - (user + system) / 1000));
    this.#due = now + TICK_MS;
    this.#cpu = cpuUsage();
  }
}

const TICK_MS = 100;
