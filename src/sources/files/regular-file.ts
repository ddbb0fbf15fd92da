import { constants, type Stats } from "node:fs";
import { open, stat } from "node:fs/promises";

export type FileReading =
  | { readonly ok: true; readonly text: string }
  /** `reason` is an errno, or says what the path is instead. */
  | { readonly ok: false; readonly reason: string };

/**
 * Reads a file as UTF-8. Never rejects and never waits for a writer: what is no regular file is not even opened, since a
 * FIFO would block, a device may have no end, and opening some does something. No more than `maxBytes` is read.
 */
export async function readRegularFile(path: string, maxBytes: number): Promise<FileReading> {
  try {
    const before = irregularity(await stat(path));
    if (before !== null) return { ok: false, reason: before };
    // By now it may be another one.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const found = await file.stat();
      const opened = irregularity(found);
      if (opened !== null) return { ok: false, reason: opened };
      // Room for one more byte tells the end without another reading. Some files have no size and are read in pieces.
      const room = Math.min(maxBytes + 1, Math.max(found.size + 1, SMALL_BYTES));
      const chunks: Buffer[] = [];
      for (let total = 0; ; ) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(room));
        chunks.push(buffer.subarray(0, bytesRead));
        total += bytesRead;
        if (total > maxBytes) return { ok: false, reason: `larger than ${maxBytes} bytes` };
        if (bytesRead === 0 || (total === found.size && bytesRead < room))
          return { ok: true, text: Buffer.concat(chunks).toString("utf8") };
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    return { ok: false, reason: errnoOf(error) };
  }
}

/** What the path is instead of a file with an end; null where it is one. */
export function irregularity(found: Stats): string | null {
  if (found.isFile()) return null;
  const what = found.isDirectory()
    ? "a folder"
    : found.isFIFO()
      ? "a FIFO"
      : found.isSocket()
        ? "a socket"
        : "a device";
  return `${what}, no regular file`;
}

/** The code alone: messages of the file system repeat the path. */
export function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unreadable";
}

const SMALL_BYTES = 4096;
