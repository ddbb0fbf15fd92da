import { loadGateway, type ResourceFlags } from "../load.ts";
import { allExist } from "../paths.ts";
import { endWithReader, inColour, printJson } from "../standard-output.ts";
import { isFaulty, takeInventory } from "./inventory.ts";
import { renderInventory } from "./table.ts";
import { credentialUsers } from "./users.ts";

export interface CertsFlags extends ResourceFlags {
  readonly format: "text" | "json";
}

/** Every certificate that the paths hold or name, who uses it, and when it ends. */
export async function listCertificates(paths: readonly string[], flags: CertsFlags): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const { store, compilation, resources } = await loadGateway(paths, flags);
  const entries = takeInventory(store, credentialUsers(compilation, resources), Date.now());
  const faulty = entries.filter(isFaulty).length;
  if (flags.format === "json")
    printJson({ version: 1, entries, summary: { entries: entries.length, faulty } });
  else process.stdout.write(renderInventory(entries, inColour()));
  process.exitCode = faulty > 0 ? 1 : 0;
}
