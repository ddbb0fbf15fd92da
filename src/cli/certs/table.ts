import { counted } from "../standard-output.ts";
import { type InventoryCertificate, type InventoryEntry, isFaulty } from "./inventory.ts";

/** The inventory for people: a paragraph for each name, the columns of all certificates aligned. */
export function renderInventory(entries: readonly InventoryEntry[], colour: boolean): string {
  const paint = (style: number, text: string): string =>
    colour && style > 0 && text !== "" ? `\x1b[${style}m${text}\x1b[0m` : text;
  const rows = entries.map(({ certificates }) => certificates.map(cells));
  const widths = COLUMNS.map((title, column) =>
    Math.max(title.length, ...rows.flat().map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[], style: number): string =>
    `  ${row.map((cell, column) => (column === row.length - 1 ? cell : paint(column < 3 ? style : 0, cell.padEnd(widths[column] ?? 0)))).join("  ")}`;
  const lines = rows.flat().length === 0 ? [] : [paint(2, line(COLUMNS, 2))];
  for (const [index, entry] of entries.entries()) {
    if (index > 0) lines.push("");
    lines.push(`${paint(1, entry.name)}  ${title(entry)}${paint(2, place(entry))}`);
    if (entry.reason !== undefined)
      lines.push(
        `  ${paint(entry.status === "unusable" ? 31 : 33, `${entry.code ?? entry.status}: ${entry.reason}`)}`,
      );
    for (const [row, certificate] of entry.certificates.entries())
      lines.push(line(rows[index]?.[row] ?? [], styleOf(certificate)));
    for (const text of users(entry)) lines.push(`  ${paint(2, text)}`);
  }
  return `${lines.join("\n")}${lines.length === 0 ? "" : "\n\n"}${summary(entries)}\n`;
}

/** `in 12 days`, `today`, `3 days ago`. */
function whenText(days: number): string {
  if (!Number.isFinite(days)) return "never";
  if (days === 0) return "today";
  const count = days < 0 ? -days - 1 : days;
  const text = count === 1 ? "1 day" : `${count} days`;
  return days > 0 ? `in ${text}` : count === 0 ? "today, over" : `${text} ago`;
}

const COLUMNS = ["EXPIRES", "WHEN", "STATUS", "WHAT", "CERTIFICATE", "ISSUED BY", "SERIAL"];

function cells(certificate: InventoryCertificate): string[] {
  const { notAfter, expiresInDays, dates, role, subject, issuer, serial } = certificate;
  return [
    `${notAfter.slice(0, 16).replace("T", " ")} UTC`,
    whenText(expiresInDays),
    dates,
    role,
    nameOf(certificate),
    subject === issuer ? "itself" : issuer,
    serial,
  ];
}

/** SPIFFE certificates may have no subject. */
function nameOf({ subject, uris = [], dnsNames = [], ipAddresses = [] }: InventoryCertificate): string {
  return subject === "" ? ([...uris, ...dnsNames, ...ipAddresses][0] ?? "(no name)") : subject;
}

function title({ kind, generation, certificates, status }: InventoryEntry): string {
  const count = certificates.length;
  const many = (noun: string): string => `${count === 0 ? "" : `${count} `}${noun}${count === 1 ? "" : "s"}`;
  const what = {
    credential: "key and certificate",
    trust: many("CA"),
    crl: many("revocation list"),
    staple: "OCSP staple",
  }[kind];
  return `${what}, ${generation === 0 ? "" : `generation ${generation}, `}${status.replace("-", " ")}`;
}

function place({ object, source }: InventoryEntry): string {
  if (object === undefined) return "";
  return source === undefined ? `  ${object}` : `  ${object} at ${source.file}:${source.line}`;
}

function users({ usedBy }: InventoryEntry): string[] {
  if (usedBy.length === 0) return ["used by nobody"];
  const shown = usedBy.slice(0, USERS_SHOWN).map(({ kind, name }) => `${kind} ${name}`);
  const more =
    usedBy.length > USERS_SHOWN ? [`and ${usedBy.length - USERS_SHOWN} more (--format json has all)`] : [];
  return [...shown, ...more].map((text, index) => `${index === 0 ? "used by" : "       "} ${text}`);
}

const USERS_SHOWN = 12;

function styleOf({ dates, expiresInDays }: InventoryCertificate): number {
  if (dates !== "valid") return 31;
  return expiresInDays < SOON_DAYS ? 33 : 32;
}

const SOON_DAYS = 30;

function summary(entries: readonly InventoryEntry[]): string {
  const certificates = entries.flatMap((entry) => entry.certificates);
  const faulty = entries.filter(isFaulty).length;
  const soon = certificates.filter(
    ({ dates, expiresInDays }) => dates === "valid" && expiresInDays < SOON_DAYS,
  );
  return `${counted(certificates.length, "certificate")} under ${counted(entries.length, "name")}; expired or unusable: ${faulty}; ending within ${SOON_DAYS} days: ${soon.length}`;
}
