import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** How long requests took, in whole milliseconds; as large after a million as after one. */
export type Latency = RecordableHistogram;

export function noLatency(): Latency {
  return createHistogram({ lowest: 1, highest: HIGHEST_MS, figures: 3 });
}

export function record(milliseconds: number, latency: Latency): void {
  latency.record(Math.min(Math.max(1, Math.round(milliseconds)), HIGHEST_MS));
}

export function sumOf(latencies: readonly Latency[]): Latency {
  const sum = noLatency();
  for (const latency of latencies) sum.add(latency);
  return sum;
}

const HIGHEST_MS = 600_000;
