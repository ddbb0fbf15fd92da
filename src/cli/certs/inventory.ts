import type { CredentialListing } from "../../credentials/listing.ts";
import type { CredentialStore } from "../../credentials/store.ts";
import type { SourcePosition } from "../../diagnostics/diagnostic.ts";
import { isIssued } from "../../resources/tls-identity.ts";
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

export interface InventoryCertificate extends Omit<CertificateFacts, "notBefore" | "notAfter"> {
  readonly role: "leaf" | "intermediate" | "ca";
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
    .map((listing) => entryOf(listing, users.get(faceOf(listing)) ?? [], now));
  for (const [face, usedBy] of users)
    if (!faces.has(face)) entries.push(missing(face, usedBy, store.statuses));
  return entries.sort((a, b) => {
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
  const { name, kind, generation, status, rejected, origin, facts } = listing;
  const { subject, source } = origin;
  const wrong = status.usable
    ? rejected === null
      ? {}
      : { code: rejected.code, reason: `${rejected.message}; the previous one stays in use` }
    : { code: status.code, reason: status.reason };
  return {
    name,
    kind,
    generation: facts.length === 0 ? 0 : generation,
    status: status.usable ? "usable" : "unusable",
    ...wrong,
    object: `${subject.kind} ${subject.namespace}/${subject.name}`,
    ...(source === undefined ? {} : { source }),
    usedBy,
    certificates: facts.map((found, index) => ({
      role: kind === "trust" ? "ca" : index === 0 ? "leaf" : "intermediate",
      ...found,
      notBefore: isoTime(found.notBefore),
      notAfter: isoTime(found.notAfter),
      expiresInDays: Math.floor((found.notAfter - now) / DAY_MS),
      dates: now > found.notAfter ? "expired" : now < found.notBefore ? "not-yet-valid" : "valid",
    })),
  };
}

function missing(
  face: string,
  usedBy: readonly CredentialUser[],
  statuses: CredentialStore["statuses"],
): InventoryEntry {
  const [kind, name] = [face.slice(0, face.indexOf(" ")), face.slice(face.indexOf(" ") + 1)];
  const known = { name, kind: kind as InventoryEntry["kind"], generation: 0, usedBy, certificates: [] };
  if (isIssued(name))
    return { ...known, status: "not-asked", reason: "its issuer is asked while the gateway runs" };
  const status = kind === "trust" ? statuses.trust(name) : undefined;
  if (status !== undefined && !status.usable)
    return { ...known, status: "unusable", code: status.code, reason: status.reason };
  const what = kind === "trust" ? "CA certificate" : "certificate with its key";
  return { ...known, status: "unusable", code: "secret-missing", reason: `there is no ${what} of this name` };
}

function rank({ certificates, status }: InventoryEntry): number {
  if (certificates.length > 0) return Math.min(...certificates.map(({ notAfter }) => Date.parse(notAfter)));
  return status === "unusable" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function faceOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind} ${name}`;
}

/** Certificates may hold times that no calendar does. */
function isoTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? String(milliseconds) : time.toISOString();
}

const DAY_MS = 24 * 3_600_000;
