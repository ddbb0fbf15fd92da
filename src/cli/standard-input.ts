import { errnoOf, type FileReading } from "../sources/files/regular-file.ts";
import { MAX_FILE_BYTES } from "../sources/files/tree.ts";

/** Among the paths of a command: whatever comes on standard input. */
export const STANDARD_INPUT = "-";

/** Paths by what they are: `given` has texts by the name that findings show. */
export interface Input {
  readonly paths: readonly string[];
  readonly given: ReadonlyMap<string, FileReading>;
}

/** Reads standard input where it is among the paths; once, for whoever asks later too. */
export async function inputOf(paths: readonly string[]): Promise<Input> {
  const files = paths.filter((path) => path !== STANDARD_INPUT);
  if (files.length === paths.length) return { paths, given: new Map() };
  reading ??= readAll();
  return { paths: files, given: new Map([["<stdin>", await reading]]) };
}

let reading: Promise<FileReading> | undefined;

async function readAll(): Promise<FileReading> {
  if (process.stdin.isTTY) console.error("credence: reads YAML from standard input, until Ctrl-D");
  const pieces: Buffer[] = [];
  let total = 0;
  try {
    for await (const piece of process.stdin as AsyncIterable<Buffer>) {
      pieces.push(piece);
      total += piece.length;
      if (total > MAX_FILE_BYTES) return { ok: false, reason: `larger than ${MAX_FILE_BYTES} bytes` };
    }
  } catch (error) {
    return { ok: false, reason: errnoOf(error) };
  }
  const text = Buffer.concat(pieces).toString("utf8");
  // What should have written it has failed, most likely.
  return text.trim() === "" ? { ok: false, reason: "nothing came" } : { ok: true, text };
}
