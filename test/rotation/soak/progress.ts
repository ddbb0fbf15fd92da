import { cpuUsage } from "node:process";
import type { MemoryWatch } from "./memory.ts";

/** Counts rotations; of a long run it tells now and then how far it is, and looks at the memory. */
export class Progress {
  readonly #title: string;
  readonly #rotations: number;
  readonly #isLong: boolean;
  readonly #memory: MemoryWatch;
  readonly #began = performance.now();
  readonly #cpuBegan = cpuUsage();
  /** Milliseconds until each was in effect. */
  readonly #took: number[] = [];
  #said = performance.now();
  #sampled = 0;

  constructor(title: string, rotations: number, longFrom: number, memory: MemoryWatch) {
    this.#title = title;
    this.#rotations = rotations;
    this.#isLong = rotations >= longFrom;
    this.#memory = memory;
  }

  rotated(tookMs: number): void {
    this.#took.push(tookMs);
    if (!this.#isLong || this.#took.length % Math.ceil(this.#rotations / SAMPLES) !== 0) return;
    // Collecting garbage takes its time: of many that are told at once, the requests under way would wait for each.
    if (performance.now() < this.#sampled + SAMPLE_EVERY_MS) return;
    this.#sampled = performance.now();
    const memory = this.#memory.sample(this.#took.length);
    if (performance.now() < this.#said + SAY_EVERY_MS) return;
    this.#said = performance.now();
    console.log(
      `${this.#title}: ${this.#took.length} of ${this.#rotations} in ${this.#seconds} s; ${memory}`,
    );
  }

  /** Of a long run; `result`: what else there is to say of it. */
  say(result: string): void {
    if (!this.#isLong) return;
    const took = this.#took.toSorted((a, b) => a - b);
    const share = (of: number): number => Math.round(took[Math.floor((took.length - 1) * of)] ?? 0);
    const { user, system } = cpuUsage(this.#cpuBegan);
    const cpu = (user + system) / 1000 / took.length;
    console.log(
      `${this.#title}: ${took.length} rotations in ${this.#seconds} s (${cpu.toFixed(1)} ms of CPU each), ${result}; ` +
        `in effect after ${share(0.5)} ms (median), ${share(0.99)} ms (99 %), ${share(1)} ms (longest)`,
    );
    console.log(`${this.#title}: ${this.#memory.course()}`);
  }

  assertFlat(): void {
    if (this.#isLong) console.log(`${this.#title}: ${this.#memory.assertFlat()}`);
  }

  get #seconds(): number {
    return Math.round((performance.now() - this.#began) / 1000);
  }
}

const SAMPLES = 100;
const SAMPLE_EVERY_MS = 1000;
const SAY_EVERY_MS = 15_000;
