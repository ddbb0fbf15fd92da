import { existsSync } from "node:fs";

/** Says which of the paths given on the command line are not there: a typing error, not a finding. */
export function allExist(paths: readonly string[]): boolean {
  const missing = paths.filter((path) => !existsSync(path));
  for (const path of missing) console.error(`credence: no such file or folder: ${path}`);
  return missing.length === 0;
}
