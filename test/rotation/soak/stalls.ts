import assert from "node:assert/strict";
import type { Latency } from "../../support/latency.ts";

/** Generous to a machine that is busy; whoever waits for longer has met a stall that the timeouts are too patient to tell. */
const STALL_MS = 10_000;

export function assertNoStall(what: string, latency: Latency): void {
  assert.ok(latency.max < STALL_MS, `the slowest of ${what} took ${latency.max} ms`);
}

export function describeLatency(latency: Latency): string {
  return `${latency.percentile(99)} ms (99 %), ${latency.max} ms (slowest)`;
}
