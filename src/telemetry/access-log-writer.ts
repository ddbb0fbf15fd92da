import type { AccessLog, AccessLogEntry } from "./access-log.ts";

/** Writes entries as JSON lines, many to a write: a line is at most `FLUSH_MS` late. `flush` empties the buffer at the end. */
export function createAccessLogWriter(write: (text: string) => void): { log: AccessLog; flush: () => void } {
  let buffer = "";
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (buffer === "") return;
    const text = buffer;
    buffer = "";
    write(text);
  };
  return {
    flush,
    log(entry: AccessLogEntry) {
      buffer += `${JSON.stringify(entry)}\n`;
      if (buffer.length >= FLUSH_CHARACTERS) flush();
      else timer ??= setTimeout(flush, FLUSH_MS).unref();
    },
  };
}

const FLUSH_MS = 50;
const FLUSH_CHARACTERS = 32 * 1024;
