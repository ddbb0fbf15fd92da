import { readdirSync, readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

interface Sample {
  /** Rotations until then. */
  readonly after: number;
  /** Of this process, after garbage is collected: gateway and test. */
  readonly heap: number;
  /** Beside the heap: buffers, and what OpenSSL holds of contexts and connections is in here alone. */
  readonly rss: number;
  /** Of the Envoys that this process has started; 0: there are none. */
  readonly envoy: number;
}

/** Memory over a long run: it may not grow from the second fifth of the samples to the last. */
export class MemoryWatch {
  readonly #samples: Sample[] = [];
  readonly #perRotation: Partial<Record<Part, number>>;

  /** Bytes that each rotation may add, where it adds something that is there to stay; default: none. */
  constructor(perRotation: Partial<Record<Part, number>> = {}) {
    this.#perRotation = perRotation;
  }

  /** Takes one, after so many rotations; as text, in MiB. */
  sample(after: number): string {
    collectGarbage();
    const { heapUsed: heap, rss } = process.memoryUsage();
    const sample = { after, heap, rss, envoy: rssOfEnvoys() };
    this.#samples.push(sample);
    return described(sample);
  }

  /** At some points of the way, and what is added on the average once the first fifth is over. */
  course(): string {
    const settled = this.#samples.slice(Math.floor(this.#samples.length / 5));
    const slopes = PARTS.map((part) => `${part} ${Math.round(slope(settled, part) / 1024)}`);
    const points = POINTS.map((share) => {
      const sample = this.#samples[Math.ceil(this.#samples.length * share) - 1];
      return sample === undefined ? "" : `${described(sample)} at ${share * 100} %; `;
    });
    return `${points.join("")}in KiB per 1,000 rotations: ${slopes.join(", ")}`;
  }

  /** Resolves with the medians compared, as text. A short run is all warming up, and proves nothing. */
  assertFlat(): string {
    const fifth = Math.floor(this.#samples.length / 5);
    const early = medians(this.#samples.slice(fifth, 2 * fifth));
    const late = medians(this.#samples.slice(-fifth));
    const text = `early ${described(early)}; late ${described(late)}`;
    const rotations = late.after - early.after;
    for (const [part, share, constant] of GROWTH) {
      const due = rotations * (this.#perRotation[part] ?? 0);
      assert.ok(late[part] <= early[part] * share + constant * MIB + due, `${part} has grown: ${text}`);
    }
    return text;
  }
}

const MIB = 2 ** 20;
const POINTS = [0.25, 0.5, 1];
const PARTS = ["heap", "rss", "envoy"] as const;
type Part = (typeof PARTS)[number];
/**
 * What may be between the two: a share, and MiB. Certificates that were read are kept for a while, so the heap is full after some
 * two thousand rotations only. RSS is as the allocators leave it, so it tells of leaks that are large.
 */
const GROWTH = [
  ["heap", 1.1, 6],
  ["rss", 1.15, 16],
  ["envoy", 1.15, 8],
] as const;

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

function rssOfEnvoys(): number {
  let bytes = 0;
  for (const pid of readdirSync("/proc")) {
    if (!/^[0-9]+$/.test(pid)) continue;
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const [, parent] = /^PPid:\s+([0-9]+)/m.exec(status) ?? [];
      const [, kib] = /^VmRSS:\s+([0-9]+) kB/m.exec(status) ?? [];
      if (Number(parent) === process.pid && /^Name:\s+envoy/m.test(status)) bytes += Number(kib) * 1024;
    } catch {
      // It has ended meanwhile.
    }
  }
  return bytes;
}

/** Bytes per 1,000 rotations, by least squares. */
function slope(samples: readonly Sample[], part: Part): number {
  const mean = (of: (sample: Sample) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean(({ after }) => after), mean((sample) => sample[part])];
  const covariance = mean((sample) => (sample.after - x) * (sample[part] - y));
  const variance = mean(({ after }) => (after - x) ** 2);
  return variance === 0 ? 0 : (1000 * covariance) / variance;
}

function medians(samples: readonly Sample[]): Sample {
  const of = (part: keyof Sample): number =>
    samples.map((sample) => sample[part]).sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0;
  return { after: of("after"), heap: of("heap"), rss: of("rss"), envoy: of("envoy") };
}

function described({ heap, rss, envoy }: Record<Part, number>): string {
  const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
  return `heap ${mib(heap)} MiB, RSS ${mib(rss)} MiB${envoy === 0 ? "" : `, Envoy's RSS ${mib(envoy)} MiB`}`;
}
