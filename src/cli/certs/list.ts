import type { Report } from "../../admin/report.ts";
import { loadGateway, type ResourceFlags } from "../load.ts";
import { allExist } from "../paths.ts";
import { endWithReader, inColour, printJson, printText } from "../standard-output.ts";
import { askAdmin } from "./admin-port.ts";
import { type InventoryEntry, isFaulty, takeInventory } from "./inventory.ts";
import { withLive } from "./live.ts";
import { renderInventory } from "./table.ts";
import { credentialUsers } from "./users.ts";

export interface CertsFlags extends ResourceFlags {
  readonly format: "text" | "json";
}

export interface ListFlags extends CertsFlags {
  /** Of a running gateway, for what it has in use. */
  readonly admin?: string;
}

/** Every certificate that the paths hold or name, who uses it, and when it ends. */
export async function listCertificates(paths: readonly string[], flags: ListFlags): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const { store, compilation, resources, complete } = await loadGateway(paths, flags);
  const now = Date.now();
  const written = takeInventory(store, credentialUsers(compilation, resources), now);
  const entries = flags.admin === undefined ? written : await inUse(written, flags.admin, now);
  if (typeof entries === "string") {
    console.error(`credence: ${entries}`);
    process.exitCode = 1;
    return;
  }
  const faulty = entries.filter(isFaulty).length;
  if (flags.format === "json")
    printJson({ version: 1, entries, summary: { entries: entries.length, faulty } });
  else printText(renderInventory(entries, inColour()));
  if (!complete)
    console.error(
      "credence: some documents could not be read, so this may not be all; `credence check` shows which",
    );
  process.exitCode = faulty > 0 || !complete ? 1 : 0;
}

async function inUse(
  written: readonly InventoryEntry[],
  admin: string,
  now: number,
): Promise<InventoryEntry[] | string> {
  const report = await askAdmin<Report>(admin, "/ambassador/v0/diag/?json=true");
  return typeof report === "string" ? report : withLive(written, report.certificates, now);
}
