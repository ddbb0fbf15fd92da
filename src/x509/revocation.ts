import { isSignedWith } from "./algorithms.ts";
import { type RevocationList, readRevocationList } from "./crl.ts";
import { pemOf } from "./der-certificates.ts";
import { printName } from "./distinguished-name.ts";
import { KEY_USAGE } from "./extensions.ts";
import { type CertificateFinding, described, shortened } from "./finding.ts";
import { isNamedKey } from "./issuer.ts";
import { keyOf, type ParsedCertificate } from "./parsed-certificate.ts";
import { parsePem } from "./pem.ts";

/** Revocation lists of any number of CAs, read once and asked in every handshake. Made by `readRevocationLists`. */
export interface RevocationLists {
  readonly facts: readonly RevocationListFacts[];
  /** By the comparable name of their issuer. */
  readonly ofIssuer: ReadonlyMap<string, readonly RevocationList[]>;
}

/** What may travel about a list: into logs, pages and diagnostics. */
export interface RevocationListFacts {
  readonly issuer: string;
  readonly sha256: string;
  /** In hex; null where it has none. */
  readonly number: string | null;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  /** Null: it does not say, and is taken for stale. */
  readonly nextUpdate: number | null;
  readonly revoked: number;
}

export interface RevocationRule {
  readonly lists: RevocationLists;
  /** `allow-stale` goes on with a list that is past its nextUpdate, `allow-missing` without a CA's list as well. */
  readonly policy: "require" | "allow-stale" | "allow-missing";
}

export type RevocationReading =
  | {
      readonly ok: true;
      readonly lists: RevocationLists;
      /** One PEM list an entry; of `lists`, each at least once. */
      readonly pem: readonly string[];
    }
  /** One clause about the text or the list in it that cannot be used. */
  | { readonly ok: false; readonly reason: string };

/** Reads lists in PEM, several in one text, or one in DER. One that cannot be used costs all. Never throws. */
export function readRevocationLists(texts: readonly (string | Uint8Array)[]): RevocationReading {
  const found: RevocationList[] = [];
  const pem: string[] = [];
  let bytes = 0;
  for (const text of texts) {
    const encodings = encodingsOf(text);
    if (typeof encodings === "string") return { ok: false, reason: encodings };
    for (const { encoding, block } of encodings) {
      bytes += encoding.length;
      if (bytes > MAX_BYTES) return { ok: false, reason: `the lists have more than ${MAX_BYTES} bytes` };
      const list = readRevocationList(encoding);
      if (typeof list === "string") return { ok: false, reason: `list ${found.length + 1} ${list}` };
      if (found.every(({ sha256 }) => sha256 !== list.sha256)) found.push(list);
      pem.push(block);
    }
  }
  return { ok: true, lists: collectLists(found), pem };
}

/** Lists that were read already. */
export function collectLists(lists: readonly RevocationList[]): RevocationLists {
  return { facts: lists.map(factsOf), ofIssuer: Map.groupBy(lists, ({ issuer }) => issuer.key) };
}

/**
 * Whether a certificate of the path is revoked, the anchor aside (RFC 5280 §6.3.3): each must be on no list of its issuer,
 * and that list be there and current as far as the policy asks. A list that is past its end still says who is revoked.
 */
export function checkRevocation(
  path: readonly ParsedCertificate[],
  { lists, policy }: RevocationRule,
  now: number,
): CertificateFinding | null {
  let lacking: CertificateFinding | null = null;
  for (const [index, issuer] of path.slice(1).entries()) {
    const certificate = path[index] as ParsedCertificate;
    const about = listsAbout(certificate, signersFor(issuer, path), lists);
    const serial = Buffer.from(certificate.serial, "hex").toString("latin1");
    const revoking = about.find(({ revoked }) => revoked.has(serial));
    if (revoking !== undefined) {
      const says = `is revoked by ${described(issuer)}, in the list of ${moment(revoking.thisUpdate)}`;
      return { fault: "revoked", certificate, says };
    }
    if (policy !== "allow-missing") lacking ??= whatIsLacking(certificate, issuer, about, policy, now);
  }
  return lacking;
}

/** A quarter of a million entries, which take half a second to read. */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_CHARACTERS = (MAX_BYTES / 3) * 4 + 1024 * 1024;
const SIGNED = new WeakMap<RevocationList, Map<string, boolean>>();
const MAX_SIGNERS = 64;

function encodingsOf(
  text: string | Uint8Array,
): { readonly encoding: Buffer; readonly block: string }[] | string {
  if (typeof text !== "string") {
    const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
    return bytes[0] === 0x30
      ? [{ encoding: bytes, block: pemOf("X509 CRL", bytes) }]
      : encodingsOf(bytes.toString("latin1"));
  }
  const parsed = parsePem(text, MAX_CHARACTERS);
  if (!parsed.ok) return `the revocation lists are not PEM: ${parsed.reason}`;
  const lists = parsed.blocks.filter(({ label }) => label === "X509 CRL");
  if (lists.length === 0) return "there is no X509 CRL block";
  return lists.map(({ text: block }) => ({
    encoding: Buffer.from(block.replace(/-----[^-]*-----/g, ""), "base64"),
    block,
  }));
}

/** The issuer, and what has its name further up: its own earlier key (RFC 5280 §6.3.3 f). */
function signersFor(issuer: ParsedCertificate, path: readonly ParsedCertificate[]): ParsedCertificate[] {
  const above = path.slice(path.indexOf(issuer));
  return above.filter((it) => it.subject.key === issuer.subject.key && maySignLists(it));
}

/** Signed by one of these, and about this certificate. */
function listsAbout(
  certificate: ParsedCertificate,
  signers: readonly ParsedCertificate[],
  { ofIssuer }: RevocationLists,
): RevocationList[] {
  const isCa = certificate.basicConstraints?.ca === true;
  return (ofIssuer.get(certificate.issuer.key) ?? []).filter((list) => {
    const { only, distributionPoints } = list.scope;
    if (only !== null && (only === "cas") !== isCa) return false;
    const isInScope =
      distributionPoints === null ||
      distributionPoints.some((point) => certificate.distributionPoints.includes(point));
    const isSigner = (it: ParsedCertificate): boolean =>
      isNamedKey(list.authorityKey, it) && isListSignedBy(list, it);
    return isInScope && signers.some(isSigner);
  });
}

/** RFC 5280 §6.3.3 f. */
function maySignLists({ keyUsage }: ParsedCertificate): boolean {
  return keyUsage === null || (keyUsage & KEY_USAGE.cRLSign) !== 0;
}

function isListSignedBy(list: RevocationList, issuer: ParsedCertificate): boolean {
  const known = SIGNED.get(list) ?? new Map<string, boolean>();
  SIGNED.set(list, known);
  let verdict = known.get(issuer.sha256);
  if (verdict === undefined) {
    const key = keyOf(issuer);
    verdict = key !== null && isSignedWith(list.signed, key);
    if (known.size >= MAX_SIGNERS) known.clear();
    known.set(issuer.sha256, verdict);
  }
  return verdict;
}

function whatIsLacking(
  certificate: ParsedCertificate,
  issuer: ParsedCertificate,
  about: readonly RevocationList[],
  policy: "require" | "allow-stale",
  now: number,
): CertificateFinding | null {
  const whose = described(issuer);
  if (about.length === 0) {
    const says = maySignLists(issuer)
      ? `was issued by ${whose}, of which there is no revocation list about it`
      : `was issued by ${whose}, whose key may not sign revocation lists (no cRLSign)`;
    return { fault: "crl_missing", certificate, says };
  }
  if (policy === "allow-stale" || about.some((list) => isCurrent(list, now))) return null;
  const latest = about.reduce((one, other) => (other.thisUpdate > one.thisUpdate ? other : one));
  const when =
    latest.nextUpdate === null
      ? "does not say until when it is good"
      : now < latest.thisUpdate
        ? `is not valid before ${moment(latest.thisUpdate)}`
        : `was to be replaced until ${moment(latest.nextUpdate)}`;
  const says = `was issued by ${whose}, whose latest revocation list ${when}`;
  return { fault: "crl_stale", certificate, says };
}

function isCurrent({ thisUpdate, nextUpdate }: RevocationList, now: number): boolean {
  return nextUpdate !== null && thisUpdate <= now && now < nextUpdate;
}

function moment(at: number): string {
  return new Date(at).toISOString();
}

function factsOf(list: RevocationList): RevocationListFacts {
  const { sha256, number, thisUpdate, nextUpdate, revoked } = list;
  return {
    issuer: shortened(printName(list.issuer)),
    sha256,
    number,
    thisUpdate,
    nextUpdate,
    revoked: revoked.size,
  };
}
