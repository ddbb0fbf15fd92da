import { statSync } from "node:fs";

/** Says which of the paths given on the command line are not there: a typing error, not a finding. */
export function allExist(paths: readonly string[]): boolean {
  const refused = paths.flatMap((path) => {
    const code = refusalOf(path);
    return code === null ? [] : [code === "ENOENT" ? `no such file or folder: ${path}` : `${path}: ${code}`];
  });
  for (const line of refused) console.error(`credence: ${line}`);
  return refused.length === 0;
}

/** The errno; null: it is there. */
function refusalOf(path: string): string | null {
  try {
    statSync(path);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "ENOENT";
  }
}
