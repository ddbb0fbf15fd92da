import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SRC = fileURLToPath(new URL("../../src/", import.meta.url));

/** Where `npm run protobuf` writes. */
export const GENERATED = "protobuf/generated/";

export interface SourceFile {
  /** From src, e.g. `compile/compile.ts`. */
  readonly path: string;
  readonly text: string;
}

/** All of src that people write, by path. */
export function sourceFiles(): SourceFile[] {
  return globSync("**/*.ts", { cwd: SRC })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => !path.startsWith(GENERATED))
    .sort()
    .map((path) => ({ path, text: readFileSync(`${SRC}${path}`, "utf8") }));
}
