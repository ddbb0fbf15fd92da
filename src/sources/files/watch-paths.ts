import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../telemetry/logger.ts";

export interface PathsWatcher {
  /** The kernel tells of this path; null: of something that it does not name. */
  readonly onNamed: (path: string | null) => void;
  /** Some time after what was told last. */
  readonly onChange: () => void;
  /** Looks whether there is anything new that nobody told of. */
  readonly isOld: () => Promise<boolean>;
  /** Whether the kernel tells of all paths. */
  readonly onWatched: (isWatched: boolean) => void;
}

/**
 * The kernel's events make it fast; a comparison of stamps twice a second makes it sure, where events are lost or do not
 * exist (network mounts, a path that is replaced). Returns the function that ends it.
 */
export function watchPaths(paths: readonly string[], logger: Logger, watcher: PathsWatcher): () => void {
  const watchers: FSWatcher[] = [];
  let debounce: NodeJS.Timeout | undefined;
  let since: number | null = null;
  const soon = (): void => {
    clearTimeout(debounce);
    since ??= performance.now();
    // Where something is written all the time, what else there is must not wait for its end.
    const left = Math.max(0, since + LONGEST_MS - performance.now());
    debounce = setTimeout(
      () => {
        since = null;
        watcher.onChange();
      },
      Math.min(DEBOUNCE_MS, left),
    );
  };
  for (const path of paths) {
    try {
      const events = watch(path, { recursive: true, persistent: false }, (_, name) => {
        watcher.onNamed(name === null ? null : join(path, name));
        soon();
      });
      events.on("error", () => {
        events.close();
        watcher.onWatched(false);
      });
      watchers.push(events);
    } catch (error) {
      logger.debug(
        { path, code: (error as NodeJS.ErrnoException).code },
        "no file events; comparing stamps instead",
      );
    }
  }
  watcher.onWatched(watchers.length === paths.length);
  let stopped = false;
  const poll = async (): Promise<void> => {
    const began = performance.now();
    const isOld = await watcher.isOld();
    if (stopped) return;
    if (isOld) soon();
    // A small part of the time: thousands of files take long to look at, and the kernel tells of most that happens.
    const rest = Math.max(POLL_MS, (performance.now() - began) * 49);
    timer = setTimeout(poll, Math.min(rest, LONGEST_POLL_MS)).unref();
  };
  let timer = setTimeout(poll, POLL_MS).unref();
  return () => {
    stopped = true;
    clearTimeout(timer);
    clearTimeout(debounce);
    for (const events of watchers) events.close();
  };
}

/** Several files are rarely written in one moment; what follows at once comes along. */
const DEBOUNCE_MS = 20;
const LONGEST_MS = 500;
const POLL_MS = 500;
const LONGEST_POLL_MS = 5000;
