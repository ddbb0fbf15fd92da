import { hashModel } from "../compile/compile.ts";
import { loadGateway, type ResourceFlags } from "./load.ts";
import { allExist } from "./paths.ts";
import { endWithReader, printJson } from "./standard-output.ts";

/** The compiled model as an engine would get it: credentials by name, never their bytes. */
export async function dump(paths: readonly string[], flags: ResourceFlags): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const { compilation, diagnostics } = await loadGateway(paths, flags);
  const { model, references } = compilation;
  const sorted = Object.fromEntries(Object.entries(references).sort(([a], [b]) => (a < b ? -1 : 1)));
  printJson({ version: 1, hash: hashModel(model), model, references: sorted });
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  // The model is complete in itself, and yet not what its author wanted: whoever pipes it on should know.
  if (errors > 0)
    console.error(
      `credence: ${errors === 1 ? "1 error was" : `${errors} errors were`} found; \`credence check\` shows them`,
    );
  process.exitCode = errors > 0 ? 1 : 0;
}
