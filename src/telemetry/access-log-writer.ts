import type { AccessLog, AccessLogEntry } from "./access-log.ts";
import type { LogSink } from "./log-sink.ts";

export interface AccessLogWriter {
  readonly log: AccessLog;
  /** Takes lines that somebody else made, each with its line break. */
  write(text: string, count: number): void;
  /** Entries that a reader too slow to take them has cost. */
  readonly dropped: number;
  /** Hands on what is left; resolves when it is written, or after a second: a reader that is stuck must not hold up an end. */
  flush(): Promise<void>;
}

/**
 * Writes entries as JSON lines, many to a write; a line is at most 50 ms late. Never waits for the reader: what it does
 * not take within 8 MiB is dropped and counted.
 */
export function createAccessLogWriter(sink: LogSink): AccessLogWriter {
  let buffer = "";
  let lines = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let isWriting = false;
  let whenIdle: (() => void)[] = [];

  const hand = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (isWriting || buffer === "") return;
    isWriting = true;
    const bytes = Buffer.from(buffer);
    buffer = "";
    lines = 0;
    // An error (the reader is gone, the disk is full) costs these lines; requests are served all the same.
    sink(bytes, () => {
      isWriting = false;
      if (buffer.length >= FLUSH_CHARACTERS || whenIdle.length > 0) hand();
      else if (buffer !== "") timer ??= setTimeout(hand, FLUSH_MS).unref();
      if (isWriting) return;
      for (const resolve of whenIdle) resolve();
      whenIdle = [];
    });
  };

  const write = (text: string, count: number): void => {
    if (buffer.length >= MAX_BUFFERED_CHARACTERS) {
      dropped += lines + count;
      buffer = "";
      lines = 0;
      return;
    }
    buffer += text;
    lines += count;
    if (isWriting) return;
    if (buffer.length >= FLUSH_CHARACTERS) hand();
    else timer ??= setTimeout(hand, FLUSH_MS).unref();
  };

  return {
    // Measured on Node 26: 1.1 µs a line; written out by hand, with a test of each text for characters to escape, 1.6.
    log: (entry: AccessLogEntry) => write(`${JSON.stringify(entry)}\n`, 1),
    write,
    get dropped() {
      return dropped;
    },
    flush() {
      hand();
      if (!isWriting) return Promise.resolve();
      return new Promise((resolve) => {
        whenIdle.push(resolve);
        setTimeout(resolve, LONGEST_FLUSH_MS).unref();
      });
    },
  };
}

const FLUSH_MS = 50;
const FLUSH_CHARACTERS = 32 * 1024;
const MAX_BUFFERED_CHARACTERS = 8 * 1024 * 1024;
const LONGEST_FLUSH_MS = 1000;
