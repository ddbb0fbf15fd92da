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

/** At once: what waits for it to go must not see it for as long as requests in flight take. */
export function removeReadyFile(file: string): void {
  rmSync(file, { force: true });
}

/** One that a killed process has left says nothing of this one. What cannot be removed cannot be written either, which is told then. */
export function removeOldReadyFile(file: string): void {
  try {
    removeReadyFile(file);
  } catch {
    // A folder, or no rights.
  }
}
