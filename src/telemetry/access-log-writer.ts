import { write, writeSync } from "node:fs";
import type { AccessLog, AccessLogEntry } from "./access-log.ts";

export interface AccessLogWriter {
  readonly log: AccessLog;
  /** Entries that a reader too slow to take them has cost. */
  readonly dropped: number;
  /** Writes what is left, at the end of the process: the one time that waiting is right. */
  flush(): void;
}

/**
 * Writes entries to a file descriptor as JSON lines, many to a write; a line is at most 50 ms late. Never blocks: a write
 * happens on libuv's threads (writing to a pipe by process.stdout would stop the whole gateway while its reader is slow),
 * and what a reader does not take within 8 MiB is dropped and counted.
 */
export function createAccessLogWriter(descriptor: number): AccessLogWriter {
  let buffer = "";
  let lines = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Buffer | null = null;

  const start = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (writing !== null || buffer === "") return;
    writing = Buffer.from(buffer);
    buffer = "";
    lines = 0;
    proceed();
  };
  const proceed = (): void => {
    write(descriptor, writing as Buffer, (error, count) => {
      if (writing === null) return;
      if (error === null) writing = count < writing.length ? writing.subarray(count) : null;
      else if (error.code === "EAGAIN") {
        // A pipe in non-blocking mode that is full.
        timer ??= setTimeout(() => {
          timer = undefined;
          proceed();
        }, RETRY_MS).unref();
        return;
      } else writing = null; // The reader is gone (EPIPE) or the disk is full: requests are served all the same.
      if (writing !== null) proceed();
      else if (buffer.length >= FLUSH_CHARACTERS) start();
      else if (buffer !== "") timer ??= setTimeout(start, FLUSH_MS).unref();
    });
  };

  return {
    log(entry: AccessLogEntry) {
      if (buffer.length >= MAX_BUFFERED_CHARACTERS) {
        dropped += lines + 1;
        buffer = "";
        lines = 0;
        return;
      }
      // Measured on Node 26: 1.1 µs a line; written out by hand, with a test of each text for characters to escape, 1.6.
      buffer += `${JSON.stringify(entry)}\n`;
      lines++;
      if (writing !== null) return;
      if (buffer.length >= FLUSH_CHARACTERS) start();
      else timer ??= setTimeout(start, FLUSH_MS).unref();
    },
    get dropped() {
      return dropped;
    },
    flush() {
      clearTimeout(timer);
      timer = undefined;
      // A write under way on another thread finishes by itself; only what it has not been given is ours to write.
      writeAll(descriptor, Buffer.from(buffer));
      buffer = "";
      lines = 0;
    },
  };
}

const FLUSH_MS = 50;
const RETRY_MS = 10;
const FLUSH_CHARACTERS = 32 * 1024;
const MAX_BUFFERED_CHARACTERS = 8 * 1024 * 1024;

function writeAll(descriptor: number, bytes: Buffer): void {
  const end = Date.now() + LONGEST_FLUSH_MS;
  for (let left = bytes; left.length > 0 && Date.now() < end; ) {
    try {
      left = left.subarray(writeSync(descriptor, left));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
    }
  }
}

const LONGEST_FLUSH_MS = 1000;
