import { hashModel } from "../compile/hash-model.ts";
import { type LoadedGateway, loadGateway, type ResourceFlags } from "./load.ts";
import { allExist } from "./paths.ts";
import { endWithReader, printJson } from "./standard-output.ts";

export interface DumpFlags extends ResourceFlags {
  readonly validate?: boolean;
  readonly envoy?: string;
}

/** What an engine would get: the compiled model, or the xDS resources. Credentials by name, never their bytes. */
export async function dump(paths: readonly string[], flags: DumpFlags): Promise<void> {
  if (flags.engine !== "envoy" && (flags.validate === true || flags.envoy !== undefined)) {
    console.error("credence: --validate and --envoy need --engine envoy");
    process.exitCode = 2;
    return;
  }
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const gateway = await loadGateway(paths, flags);
  const errors = gateway.diagnostics.filter(({ severity }) => severity === "error").length;
  process.exitCode = errors > 0 ? 1 : 0;
  if (flags.engine === "envoy") {
    // The messages' code is not waited for by who does not need it.
    const { dumpEnvoy, validateEnvoy } = await import("./envoy/dump.ts");
    if (flags.validate === true) {
      if (!(await validateEnvoy(gateway, flags.envoy))) process.exitCode = 1;
    } else printJson(dumpEnvoy(gateway));
  } else printJson(modelOf(gateway));
  // The model is complete in itself, and yet not what its author wanted: whoever pipes it on should know.
  if (errors > 0)
    console.error(
      `credence: ${errors === 1 ? "1 error was" : `${errors} errors were`} found; \`credence check${flags.engine === "envoy" ? " --engine envoy" : ""} ${paths.map(quoted).join(" ")}\` shows them`,
    );
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function modelOf({ compilation }: LoadedGateway): unknown {
  const { model, references } = compilation;
  const sorted = Object.fromEntries(Object.entries(references).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { version: 1, hash: hashModel(model), model, references: sorted };
}
