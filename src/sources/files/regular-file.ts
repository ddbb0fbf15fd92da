import { close, constants, fstat, open, read, type Stats, stat } from "node:fs";
import { promisify } from "node:util";
import { isOpenedWithin, placeWithin } from "./allowed-folders.ts";

export type FileReading =
  | { readonly ok: true; readonly text: string }
  /** `reason` is an errno, or says what the path is instead. */
  | { readonly ok: false; readonly reason: string; readonly isOutside?: true };

/**
 * Reads a file as UTF-8, or any bytes as base64. Never rejects and never waits for a writer: what is no regular file is
 * not even opened, since a FIFO would block, a device may have no end, and opening some does something. No more than
 * `maxBytes` is read, and where `folders` are given, nothing outside of them.
 */
export async function readRegularFile(
  path: string,
  maxBytes: number,
  folders?: readonly string[],
  encoding: "utf8" | "base64" = "utf8",
): Promise<FileReading> {
  try {
    const place = folders === undefined ? path : await placeWithin(path, folders);
    if (place === null) return OUTSIDE;
    const before = irregularity(await statOf(place));
    if (before !== null) return { ok: false, reason: before };
    // By now it may be another one.
    const file = await opened(place, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      if (folders !== undefined && !(await isOpenedWithin(file, place, folders))) return OUTSIDE;
      const found = await statOfOpened(file);
      const irregular = irregularity(found);
      if (irregular !== null) return { ok: false, reason: irregular };
      // Room for one more byte tells the end without another reading. Some files have no size and are read in pieces.
      const room = Math.min(maxBytes + 1, Math.max(found.size + 1, SMALL_BYTES));
      const chunks: Buffer[] = [];
      for (let total = 0; ; ) {
        const { bytesRead, buffer } = await readFrom(file, Buffer.alloc(room), 0, room, null);
        chunks.push(buffer.subarray(0, bytesRead));
        total += bytesRead;
        if (total > maxBytes) return { ok: false, reason: `larger than ${maxBytes} bytes` };
        if (bytesRead === 0 || (total === found.size && bytesRead < room))
          return { ok: true, text: Buffer.concat(chunks).toString(encoding) };
      }
    } finally {
      await closed(file);
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

/** Less than the same of `node:fs/promises` costs, and there are thousands of files. */
const [statOf, opened, statOfOpened, readFrom, closed] = [
  promisify(stat),
  promisify(open),
  promisify(fstat),
  promisify(read),
  promisify(close),
];
const OUTSIDE: FileReading = { ok: false, reason: "outside the folders that may be read", isOutside: true };
const SMALL_BYTES = 4096;
