import { realpathSync } from "node:fs";
import { readlink, realpath } from "node:fs/promises";
import { resolve, sep } from "node:path";

/**
 * Where a path leads, symbolic links resolved, if that lies in one of the folders; null: elsewhere. A folder may itself be a
 * link, and may hold links, as mounted Secrets do. Rejects as `realpath` does, but only for what is in a folder as written:
 * of the rest not even whether it exists is said.
 */
export async function placeWithin(path: string, folders: readonly string[]): Promise<string | null> {
  const real = await realpath(path).catch((error: Error) => error);
  if (typeof real === "string") return isWithin(real, folders) ? real : null;
  if (folders.some((folder) => holds(resolve(folder), resolve(path)))) throw real;
  return null;
}

/** Whether what was opened (`file` is its descriptor) is still in one of the folders: between looking and opening, a link may have been replaced. */
export async function isOpenedWithin(
  file: number,
  path: string,
  folders: readonly string[],
): Promise<boolean> {
  // Only Linux says where an open file is; elsewhere its path has to do.
  const real = await readlink(`/proc/self/fd/${file}`).catch(() => realpath(path));
  return isWithin(real, folders);
}

/** Whether a path without symbolic links lies in one of the folders, which may be links. */
export function isWithin(real: string, folders: readonly string[]): boolean {
  return folders.some((folder) => {
    try {
      return holds(realpathSync(folder), real);
    } catch {
      // One that is not there holds nothing.
      return false;
    }
  });
}

/** The path itself, or one below it; both absolute, without dots. */
function holds(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}
