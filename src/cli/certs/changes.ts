import type { InventoryCertificate, InventoryEntry } from "./inventory.ts";

/** What became of a name between two looks. */
export interface InventoryChange {
  /** `mended`: what was refused is there no more, and what was in use all along stays. */
  readonly event: "appeared" | "gone" | "rotated" | "refused" | "mended" | "unusable" | "usable" | "expired";
  readonly name: string;
  readonly kind: InventoryEntry["kind"];
  readonly generation: number;
  readonly reason?: string;
  /** Certificates that are there no more, and those that were not there before. */
  readonly before: readonly InventoryCertificate[];
  readonly after: readonly InventoryCertificate[];
}

/** What differs, in the order of `now`; what is gone comes last. Days that pass are no change. */
export function compareInventories(
  before: readonly InventoryEntry[],
  now: readonly InventoryEntry[],
): InventoryChange[] {
  const known = new Map(before.map((entry) => [faceOf(entry), entry]));
  const changes = now.flatMap((entry) => {
    const previous = known.get(faceOf(entry));
    known.delete(faceOf(entry));
    return previous === undefined
      ? [change("appeared", entry, [], entry.certificates)]
      : compare(previous, entry);
  });
  return [...changes, ...[...known.values()].map((entry) => change("gone", entry, entry.certificates, []))];
}

/** One line for people. */
export function renderChange({
  event,
  name,
  kind,
  generation,
  reason,
  before,
  after,
}: InventoryChange): string {
  const what = kind === "trust" ? `CAs of ${name}` : kind === "crl" ? `revocation lists of ${name}` : name;
  const why = reason === undefined ? "" : `: ${reason}`;
  switch (event) {
    case "rotated":
      return `${what} rotated to generation ${generation}: ${differences(kind, before, after)}`;
    case "appeared":
      return after.length === 0
        ? `${what} appeared, unusable${why}`
        : `${what} appeared: ${after.map(told).join(", ")}`;
    case "refused":
      return `${what}: what was to replace generation ${generation} is refused${why}`;
    case "mended":
      return `${what}: nothing is refused any more, generation ${generation} stays`;
    case "gone":
      return `${what} is gone`;
    case "usable":
      return `${what} is usable${after.length === 0 ? "" : ` again: ${after.map(told).join(", ")}`}`;
    default:
      return `${what} is ${event === "expired" ? `usable, a certificate of it has expired: ${after.map(told).join(", ")}` : `unusable${why}`}`;
  }
}

function compare(before: InventoryEntry, now: InventoryEntry): InventoryChange[] {
  const gone = without(before.certificates, now.certificates);
  const fresh = without(now.certificates, before.certificates);
  if (before.status !== now.status)
    return [change(now.status === "usable" ? "usable" : "unusable", now, gone, now.certificates)];
  const hasRotated = gone.length + fresh.length > 0 || before.generation !== now.generation;
  const changes = hasRotated ? [change("rotated", now, gone, fresh)] : [];
  if (before.reason !== now.reason) {
    // Where it rotated as well, that says that what came is in use.
    if (now.reason !== undefined)
      changes.push(change(now.status === "usable" ? "refused" : "unusable", now, [], []));
    else if (!hasRotated) changes.push(change("mended", now, [], []));
  }
  if (changes.length > 0) return changes;
  const valid = new Set(
    before.certificates.filter(({ dates }) => dates === "valid").map(({ sha256 }) => sha256),
  );
  const ended = now.certificates.filter(({ sha256, dates }) => dates === "expired" && valid.has(sha256));
  return ended.length === 0 ? [] : [change("expired", now, [], ended)];
}

function change(
  event: InventoryChange["event"],
  { name, kind, generation, reason }: InventoryEntry,
  before: readonly InventoryCertificate[],
  after: readonly InventoryCertificate[],
): InventoryChange {
  return { event, name, kind, generation, ...(reason === undefined ? {} : { reason }), before, after };
}

/** Of a credential old -> new, certificate by certificate; of a bundle what came and what went. */
function differences(
  kind: InventoryEntry["kind"],
  before: readonly InventoryCertificate[],
  after: readonly InventoryCertificate[],
): string {
  if (kind !== "credential") {
    const lines = [...after.map((one) => `+ ${told(one)}`), ...before.map((one) => `- ${told(one)}`)];
    return lines.length === 0 ? "in another order" : lines.join(", ");
  }
  const roles = [...new Set([...after, ...before].map(({ role }) => role))];
  return roles
    .map((role) => {
      const [old, fresh] = [before, after].map((all) =>
        all
          .filter((one) => one.role === role)
          .map(told)
          .join(" + "),
      );
      return `${role} ${old || "none"} -> ${fresh || "none"}`;
    })
    .join(", ");
}

function told({ subject, serial, notAfter }: InventoryCertificate): string {
  return `${subject === "" ? "" : `${subject} `}serial ${serial} until ${notAfter.slice(0, 16).replace("T", " ")} UTC`;
}

function without(
  all: readonly InventoryCertificate[],
  others: readonly InventoryCertificate[],
): InventoryCertificate[] {
  const known = new Set(others.map(({ sha256 }) => sha256));
  return all.filter(({ sha256 }) => !known.has(sha256));
}

function faceOf({ kind, name }: InventoryEntry): string {
  return `${kind} ${name}`;
}
