import { hash } from "node:crypto";
import { type Signed, weakSignature } from "./algorithms.ts";
import {
  booleanOf,
  context,
  DerReader,
  integerHex,
  integerOctets,
  MalformedDer,
  readOne,
  smallIntegerOf,
  TAG,
  timeOf,
} from "./der-reader.ts";
import { type DistinguishedName, readName } from "./distinguished-name.ts";
import {
  type AuthorityKey,
  extensionsOf,
  type RawExtension,
  readAuthorityKey,
  readDistributionPointName,
} from "./extensions.ts";
import { readAlgorithm } from "./parsed-certificate.ts";

/** A certificate revocation list (RFC 5280 §5) that one CA signed about its own certificates. */
export interface RevocationList {
  /** Of the whole list, lower-case hex. */
  readonly sha256: string;
  readonly issuer: DistinguishedName;
  readonly authorityKey: AuthorityKey | null;
  /** In hex; null where it has none. */
  readonly number: string | null;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  /** Null where it does not say, against RFC 5280 §5.1.2.5. */
  readonly nextUpdate: number | null;
  readonly scope: ListScope;
  /** Serial numbers, each an octet a character. */
  readonly revoked: ReadonlySet<string>;
  readonly signed: Signed;
}

/** Which certificates of its CA a list is about (RFC 5280 §5.2.5). */
export interface ListScope {
  readonly only: "leaves" | "cas" | null;
  /** Those that name one of these distribution points; null: all. */
  readonly distributionPoints: readonly string[] | null;
}

/** Reads one in DER; the reason, a clause after "it", where it cannot be used. Never throws. */
export function readRevocationList(encoding: Buffer): RevocationList | string {
  try {
    return read(encoding);
  } catch (error) {
    if (error instanceof Unusable) return error.message;
    return error instanceof MalformedDer ? `cannot be read: ${error.message}` : "cannot be read";
  }
}

/** Read well enough, and of no use. */
class Unusable extends Error {}

function read(encoding: Buffer): RevocationList {
  const outer = new DerReader(readOne(encoding, TAG.sequence).content);
  const body = outer.read(TAG.sequence);
  const algorithm = readAlgorithm(outer);
  const signature = outer.read(TAG.bitString).content.subarray(1);
  outer.end();
  const inner = new DerReader(body.content);
  const version = inner.optional(TAG.integer);
  if (version !== undefined && smallIntegerOf(version) !== 1)
    throw new MalformedDer("a version that is not 2");
  const named = readAlgorithm(inner);
  if (named.oid !== algorithm.oid) throw new MalformedDer("two signature algorithms");
  const weak = weakSignature({ signature: algorithm });
  if (weak !== null) throw new Unusable(`is signed by ${weak}`);
  const issuer = readName(inner.read(TAG.sequence));
  const thisUpdate = timeOf(inner.read());
  const hasNext = inner.nextTag === TAG.utcTime || inner.nextTag === TAG.generalizedTime;
  const nextUpdate = hasNext ? timeOf(inner.read()) : null;
  const entries = inner.optional(TAG.sequence);
  const extensions = inner.optional(context(0, "constructed"));
  inner.end();
  if (extensions !== undefined && version === undefined) throw new MalformedDer("extensions, and version 1");
  return {
    sha256: hash("sha256", encoding, "hex"),
    issuer,
    thisUpdate,
    nextUpdate,
    revoked: entries === undefined ? new Set() : readEntries(entries.content),
    ...readListExtensions(extensions === undefined ? [] : extensionsOf(extensions.content)),
    signed: { body: body.encoding, algorithm, signature },
  };
}

function readEntries(content: Buffer): Set<string> {
  const revoked = new Set<string>();
  const entries = new DerReader(content);
  while (!entries.isAtEnd) {
    const entry = entries.enter(TAG.sequence);
    revoked.add(integerOctets(entry.read(TAG.integer)).toString("latin1"));
    entry.read();
    if (!entry.isAtEnd) refuseCritical(extensionsOf(entry.read(TAG.sequence).encoding));
    entry.end();
  }
  return revoked;
}

/** An entry with a critical extension may be about another CA's certificate (RFC 5280 §5.3.3), or mean who knows what. */
function refuseCritical(extensions: readonly RawExtension[]): void {
  const found = extensions.find(({ critical }) => critical);
  if (found === undefined) return;
  if (found.oid === "2.5.29.29")
    throw new Unusable("is indirect: it has entries about other CAs' certificates");
  throw new Unusable(`has entries with the critical extension ${found.oid}, which is not understood`);
}

function readListExtensions(
  extensions: readonly RawExtension[],
): Pick<RevocationList, "authorityKey" | "number" | "scope"> {
  let authorityKey: AuthorityKey | null = null;
  let number: string | null = null;
  let scope: ListScope = { only: null, distributionPoints: null };
  for (const { oid, critical, value } of extensions) {
    if (oid === "2.5.29.35") authorityKey = readAuthorityKey(value);
    else if (oid === "2.5.29.20") number = integerHex(readOne(value, TAG.integer));
    else if (oid === "2.5.29.27")
      throw new Unusable("is a delta list, which says only what has changed since another one");
    else if (oid === "2.5.29.28") scope = readScope(value);
    else if (critical) throw new Unusable(`has the critical extension ${oid}, which is not understood`);
  }
  return { authorityKey, number, scope };
}

/** IssuingDistributionPoint (RFC 5280 §5.2.5). */
function readScope(value: Buffer): ListScope {
  const reader = new DerReader(readOne(value, TAG.sequence).content);
  const flag = (n: number): boolean => {
    const found = reader.optional(context(n, "primitive"));
    return found !== undefined && booleanOf(found);
  };
  const name = reader.optional(context(0, "constructed"));
  const onlyLeaves = flag(1);
  const onlyCas = flag(2);
  if (reader.optional(context(3, "primitive")) !== undefined)
    throw new Unusable("is about some reasons only");
  if (flag(4)) throw new Unusable("is indirect: it is about other CAs' certificates");
  if (flag(5)) throw new Unusable("is about attribute certificates");
  reader.end();
  if (onlyLeaves && onlyCas) throw new MalformedDer("a list that is about nothing");
  const distributionPoints = name === undefined ? null : readDistributionPointName(name.content);
  if (name !== undefined && distributionPoints === null)
    throw new Unusable("names its distribution point relative to its issuer");
  return { only: onlyLeaves ? "leaves" : onlyCas ? "cas" : null, distributionPoints };
}
