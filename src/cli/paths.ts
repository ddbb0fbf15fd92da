import { statSync } from "node:fs";
import { STANDARD_INPUT } from "./standard-input.ts";

/**
 * Says which of the paths given on the command line are not there: a typing error, not a finding. `followed`: by a command that needs to see
 * them change.
 */
export function allExist(paths: readonly string[], { followed = false } = {}): boolean {
  const refused = paths.flatMap((path) => {
    if (path === STANDARD_INPUT)
      return followed ? ["- is standard input, whose changes cannot be followed: name files or folders"] : [];
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
