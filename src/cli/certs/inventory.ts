import type { CredentialListing } from "../../credentials/listing.ts";
import type { CredentialStore } from "../../credentials/store.ts";
import type { SourcePosition } from "../../diagnostics/diagnostic.ts";
import { isIssued } from "../../resources/tls-identity.ts";
import { isoTime } from "../../telemetry/clock.ts";
import type { CertificateFacts } from "../../x509/facts.ts";
import type { CredentialUser, CredentialUsers } from "./users.ts";

/** All of a credential, or of a CA bundle: facts and names, never key bytes. */
export interface InventoryEntry {
  /** In the credential store, e.g. `secret/default/upstream-certs`. */
  readonly name: string;
  readonly kind: CredentialListing["kind"];
  /** Counts up with every change that was published; 0: none was. */
  readonly generation: number;
  readonly status: "usable" | "unusable" | "not-asked";
  /** The diagnostic that makes it unusable, or that refused what was to replace it; absent: nothing is wrong. */
  readonly code?: string;
  readonly reason?: string;
  /** The object that it comes from, or that names its files. */
  readonly object?: string;
  readonly source?: SourcePosition;
  readonly usedBy: readonly CredentialUser[];
  /** Leaf first, each issued by the next; of a bundle every CA. */
  readonly certificates: readonly InventoryCertificate[];
}

/** A certificate, or a revocation list: its number is its serial then, and its end when the next one is due. */
export interface InventoryCertificate
  extends Pick<CertificateFacts, "subject" | "issuer" | "serial" | "sha256">,
    Partial<Omit<CertificateFacts, "subject" | "issuer" | "serial" | "sha256" | "notBefore" | "notAfter">> {
  readonly role: "leaf" | "intermediate" | "ca" | "crl";
  /** Of a list: how many certificates are on it. */
  readonly revoked?: number;
  /** ISO 8601. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** Whole days until it ends, rounded down; negative once it has. */
  readonly expiresInDays: number;
  readonly dates: "valid" | "expired" | "not-yet-valid";
}

/**
 * What the store holds, and what somebody names and it does not; what cannot be used at all comes first, then what ends
 * first. A chain that nobody asks for as a CA is not listed as one.
 */
export function takeInventory(
  store: Pick<CredentialStore, "all" | "hasTrustAnchors" | "statuses">,
  users: CredentialUsers,
  now: number,
): InventoryEntry[] {
  const listings = store.all();
  const faces = new Set(listings.map(faceOf));
  const entries = listings
    .filter(
      ({ kind, name }) =>
        kind !== "trust" ||
        store.hasTrustAnchors(name) ||
        users.has(`trust ${name}`) ||
        !faces.has(`credential ${name}`),
    )
    .map((listing) => entryOf(listing, users.get(userFace(listing)) ?? [], now));
  for (const [face, usedBy] of users)
    if (!faces.has(face)) entries.push(missing(face, usedBy, store.statuses));
  return soonestFirst(entries);
}

/** What cannot be used at all, then what ends first. */
export function soonestFirst(entries: readonly InventoryEntry[]): InventoryEntry[] {
  return [...entries].sort((a, b) => {
    const [first, second] = [rank(a), rank(b)];
    if (first !== second) return first < second ? -1 : 1;
    return faceOf(a) < faceOf(b) ? -1 : 1;
  });
}

/** Something is of no use: past its end, before its beginning, refused, or not there. */
export function isFaulty({ status, certificates }: InventoryEntry): boolean {
  return status === "unusable" || certificates.some(({ dates }) => dates !== "valid");
}

function entryOf(listing: CredentialListing, usedBy: readonly CredentialUser[], now: number): InventoryEntry {
  const { name, kind, generation, status, rejected, origin, facts, lists = [] } = listing;
  const { subject, source } = origin;
  const wrong = status.usable
    ? rejected === null
      ? {}
      : { code: rejected.code, reason: `${rejected.message}; the previous one stays in use` }
    : { code: status.code, reason: status.reason };
  return {
    name,
    kind,
    generation: facts.length + lists.length === 0 ? 0 : generation,
    status: status.usable ? "usable" : "unusable",
    ...wrong,
    object: `${subject.kind} ${subject.namespace}/${subject.name}`,
    ...(source === undefined ? {} : { source }),
    usedBy,
    certificates: certificatesOf({ kind, facts, lists }, now),
  };
}

/** Certificates and revocation lists as the inventory has them. */
export function certificatesOf(
  { kind, facts, lists = [] }: Pick<CredentialListing, "kind" | "facts" | "lists">,
  now: number,
): InventoryCertificate[] {
  const role = (index: number): InventoryCertificate["role"] =>
    kind === "trust" ? "ca" : index === 0 ? "leaf" : "intermediate";
  return [
    ...facts.map((found, index) => ({
      role: role(index),
      ...found,
      ...datesOf(found.notBefore, found.notAfter, now),
    })),
    ...lists.map(({ issuer, sha256, number, thisUpdate, nextUpdate, revoked }) => ({
      role: "crl" as const,
      subject: `list of ${revoked} revoked`,
      issuer,
      serial: number ?? "",
      sha256,
      revoked,
      // One that does not say when the next is due is taken for stale.
      ...datesOf(thisUpdate, nextUpdate ?? thisUpdate, now),
    })),
  ];
}

function datesOf(
  notBefore: number,
  notAfter: number,
  now: number,
): Pick<InventoryCertificate, "notBefore" | "notAfter" | "expiresInDays" | "dates"> {
  return {
    notBefore: isoTime(notBefore),
    notAfter: isoTime(notAfter),
    expiresInDays: Math.floor((notAfter - now) / DAY_MS),
    dates: now > notAfter ? "expired" : now < notBefore ? "not-yet-valid" : "valid",
  };
}

function missing(
  face: string,
  usedBy: readonly CredentialUser[],
  statuses: CredentialStore["statuses"],
): InventoryEntry {
  const [kind, name] = [face.slice(0, face.indexOf(" ")), face.slice(face.indexOf(" ") + 1)];
  const known = { name, kind: kind as InventoryEntry["kind"], generation: 0, usedBy, certificates: [] };
  const status =
    kind === "credential"
      ? statuses.credential(name)
      : kind === "trust"
        ? statuses.trust(name)
        : kind === "crl"
          ? statuses.crl(name)
          : undefined;
  if (status !== undefined && !status.usable)
    return { ...known, status: "unusable", code: status.code, reason: status.reason };
  // Who asks an issuer, and has no answer yet, has nothing to say against it.
  if (isIssued(name))
    return { ...known, status: "not-asked", reason: "its issuer is asked while the gateway runs" };
  const [code, what] = MISSING[kind as InventoryEntry["kind"]];
  return { ...known, status: "unusable", code, reason: `there is no ${what} of this name` };
}

const MISSING: Readonly<Record<InventoryEntry["kind"], readonly [code: string, what: string]>> = {
  credential: ["secret-missing", "certificate with its key"],
  trust: ["secret-missing", "CA certificate"],
  crl: ["crl-missing", "revocation list"],
  staple: ["secret-missing", "OCSP staple"],
};

function rank({ certificates, status }: InventoryEntry): number {
  if (certificates.length > 0) return Math.min(...certificates.map(({ notAfter }) => Date.parse(notAfter)));
  return status === "unusable" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** A staple is sent by whoever presents the certificate named beside it. */
function userFace({ kind, name }: CredentialListing): string {
  return faceOf({ kind: kind === "staple" ? "credential" : kind, name });
}

function faceOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind} ${name}`;
}

const DAY_MS = 24 * 3_600_000;
