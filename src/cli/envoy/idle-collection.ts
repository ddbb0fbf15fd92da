import { performance } from "node:perf_hooks";
import { getHeapSpaceStatistics } from "node:v8";
import type { Clock } from "../../telemetry/clock.ts";

export interface Heap {
  /** All of it, at once. */
  collect(): void;
  /** Of objects that are not young: those are collected by themselves, in a few milliseconds. */
  oldBytes(): number;
  /** The share of the time that the main thread was busy since this was asked last. */
  busy(): number;
}

/**
 * Collects the heap now, and whenever nothing else is to be done. With ten thousand Mappings that takes 0.1 to 0.2 s of a core. By itself V8
 * begins when enough has piled up: while something changes, which then takes as much longer. Returns the function that ends it.
 */
export function collectWhenIdle(clock: Clock, heap: Heap | null = ownHeap()): () => void {
  if (heap === null) return () => undefined;
  let quietLooks = 0;
  const collect = (): number => {
    heap.collect();
    heap.busy();
    return heap.oldBytes();
  };
  let before = collect();
  const look = (): void => {
    quietLooks = heap.busy() < IDLE ? quietLooks + 1 : 0;
    // V8 may have collected it meanwhile.
    before = Math.min(before, heap.oldBytes());
    if (quietLooks >= QUIET_LOOKS && heap.oldBytes() - before > WORTH_BYTES) before = collect();
    cancel = clock.after(LOOK_MS, look);
  };
  let cancel = clock.after(LOOK_MS, look);
  return () => cancel();
}

/** Null without `--expose-gc`, which bin/credence.js starts a control plane with: then V8 decides alone. */
function ownHeap(): Heap | null {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) return null;
  let since = performance.eventLoopUtilization();
  return {
    collect: gc,
    oldBytes: () =>
      getHeapSpaceStatistics()
        .filter(({ space_name }) => OLD.includes(space_name))
        .reduce((sum, { space_used_size }) => sum + space_used_size, 0),
    busy() {
      const { utilization } = performance.eventLoopUtilization(since);
      since = performance.eventLoopUtilization();
      return utilization;
    },
  };
}

const OLD: readonly string[] = ["old_space", "large_object_space"];
const LOOK_MS = 500;
const IDLE = 0.1;
/** In a row: changes that come one after another leave less between them. */
const QUIET_LOOKS = 2;
/** A few changes among ten thousand Mappings. */
const WORTH_BYTES = 8 * 1024 * 1024;
