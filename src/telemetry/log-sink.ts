import { fstatSync, write } from "node:fs";

/** Takes all of `bytes`, and says so by `done`; the next call comes after that. */
export type LogSink = (bytes: Buffer, done: (error?: Error | null) => void) => void;

/** Standard output, written in the way that never makes the event loop wait. */
export function standardOutput(): LogSink {
  // Node writes to files synchronously; here libuv's threads do. To a pipe Node writes without blocking, where a thread
  // would stay in a write that nobody reads, and keep the process from ending.
  if (fstatSync(STDOUT).isFile()) return descriptorSink(STDOUT);
  process.stdout.on("error", () => {});
  return (bytes, done) => process.stdout.write(bytes, done);
}

/** Writes to a file descriptor, all of each piece. */
export function descriptorSink(descriptor: number): LogSink {
  return function writeAll(bytes, done) {
    write(descriptor, bytes, (error, count) => {
      if (error !== null || count >= bytes.length) done(error);
      else writeAll(bytes.subarray(count), done);
    });
  };
}

const STDOUT = 1;
