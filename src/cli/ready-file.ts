import { rmSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";

/** What the ready file of `run` says; null for a listener that is not open. */
export interface Ready {
  readonly pid: number;
  readonly revision: number;
  readonly http: string | null;
  readonly https: string | null;
  readonly admin: string | null;
}

/** A reader sees the whole file or none. */
export async function writeReadyFile(file: string, ready: object): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, `${JSON.stringify(ready)}\n`);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * At once: what waits for it to go must not see it for as long as requests in flight take. Returns why it cannot go (a folder
 * has its name by now, the disk is read-only), which is no reason to lose those requests; null: it is gone.
 */
export function removeReadyFile(file: string): string | null {
  try {
    rmSync(file, { force: true });
    return null;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `the ready file ${file} cannot be removed: ${code ?? message}`;
  }
}
