import { type BigIntStats, stat } from "node:fs";
import { errnoOf } from "./regular-file.ts";

/** Of some files together: another one, and one that was written, has another inode, size or time. An errno where one cannot be looked at. */
export type FileStamp = readonly (bigint | string)[];

/**
 * Looks at some sets of files side by side: a stamp of each set. Null where it would not tell, as the last change is so recent that
 * another one may have the same time. There may be thousands, so nothing is made for each of them but what `stat` gives.
 */
export function stampsOf(sets: readonly (readonly string[])[]): Promise<(FileStamp | null)[]> {
  const recentNs = BigInt(Date.now() - RECENT_MS) * 1_000_000n;
  const found = sets.map((paths) => new Array<BigIntStats | string>(paths.length));
  let left = sets.reduce((sum, { length }) => sum + length, 0);
  return new Promise((resolve) => {
    const end = (): void => resolve(found.map((all) => stampOf(all, recentNs)));
    if (left === 0) end();
    for (const [index, paths] of sets.entries()) {
      const ofSet = found[index] as (BigIntStats | string)[];
      for (const [at, path] of paths.entries())
        stat(path, { bigint: true }, (error, stats) => {
          ofSet[at] = error === null ? stats : errnoOf(error);
          left -= 1;
          if (left === 0) end();
        });
    }
  });
}

/** Whether nothing has changed between the two; where one of them does not tell, something may have. */
export function isSameStamp(one: FileStamp | null, other: FileStamp | null): boolean {
  if (one === null || other === null || one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

/** More than the coarsest time of a change that file systems keep. */
const RECENT_MS = 2500;

function stampOf(all: readonly (BigIntStats | string)[], recentNs: bigint): FileStamp | null {
  const stamp: (bigint | string)[] = [];
  for (const found of all) {
    if (typeof found === "string") {
      stamp.push(found);
      continue;
    }
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    if (ctimeNs > recentNs) return null;
    stamp.push(dev, ino, size, mtimeNs, ctimeNs);
  }
  return stamp;
}
