import type { ReportedCredential } from "../../admin/report.ts";
import { certificatesOf, type InventoryEntry, soonestFirst } from "./inventory.ts";

/**
 * The inventory of files with what a running gateway has in use instead: its certificates, generations and verdicts, what
 * issuers have delivered to it among them. Where the files hold another certificate, that is said.
 */
export function withLive(
  entries: readonly InventoryEntry[],
  reported: readonly ReportedCredential[],
  now: number,
): InventoryEntry[] {
  const live = new Map(reported.map((credential) => [faceOf(credential), credential]));
  return soonestFirst(
    entries.map((entry) => {
      const found = live.get(faceOf(entry));
      return found === undefined ? absent(entry) : inUse(entry, found, now);
    }),
  );
}

function absent(entry: InventoryEntry): InventoryEntry {
  const { kind, status } = entry;
  // Bundles and the like that are not usable are no part of what a gateway tells.
  if (status === "unusable" || kind === "staple") return entry;
  return { ...entry, generation: 0, status: "unusable", reason: "the gateway does not have it" };
}

function inUse(entry: InventoryEntry, found: ReportedCredential, now: number): InventoryEntry {
  const { code: _code, reason: _reason, ...known } = entry;
  const { kind, generation, usable, reason, chain, lists = [] } = found;
  const facts = chain.map((certificate) => ({
    ...certificate,
    notBefore: Date.parse(certificate.notBefore),
    notAfter: Date.parse(certificate.notAfter),
  }));
  const listed = lists.map((list) => ({
    ...list,
    thisUpdate: Date.parse(list.thisUpdate),
    nextUpdate: list.nextUpdate === null ? null : Date.parse(list.nextUpdate),
  }));
  const certificates = certificatesOf({ kind, facts, lists: listed }, now);
  const said = reason ?? difference(entry, certificates);
  return {
    ...known,
    generation: certificates.length === 0 ? 0 : generation,
    status: usable ? "usable" : "unusable",
    ...(said === undefined ? {} : { reason: said }),
    certificates,
  };
}

/** What issuers deliver is in no file. */
function difference(
  { certificates, status, reason }: InventoryEntry,
  live: InventoryEntry["certificates"],
): string | undefined {
  if (status === "not-asked") return undefined;
  const text = (all: InventoryEntry["certificates"]): string => all.map(({ sha256 }) => sha256).join();
  if (text(certificates) === text(live)) return undefined;
  const [first] = certificates;
  return first === undefined
    ? `the files hold what cannot be used: ${reason ?? "nothing"}`
    : `the files hold another one: ${first.subject}, serial ${first.serial}, until ${first.notAfter}`;
}

function faceOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind} ${name}`;
}
