import assert from "node:assert/strict";
import type { Latency } from "../../support/latency.ts";

/** Whoever waits for longer has met a stall that the timeouts are too patient to tell. */
const STALL_MS = 10_000;

/** `latency`: without what the machine has kept this process from running for (starvation.ts). */
export function assertNoStall(what: string, latency: Latency): void {
  assert.ok(latency.max < STALL_MS, `the slowest of ${what} took ${latency.max} ms`);
}

/** Connections of a certificate that is retired may end what is under way, and no more. */
export function assertGone(longestStayMs: number): void {
  assert.ok(
    longestStayMs < STALL_MS,
    `a connection with a retired certificate stayed for ${longestStayMs} ms`,
  );
}

export function describeLatency(latency: Latency): string {
  return `${latency.percentile(99)} ms (99 %), ${latency.max} ms (slowest)`;
}
