import { hash, type KeyObject, type X509Certificate } from "node:crypto";
import {
  context,
  DerReader,
  integerHex,
  MalformedDer,
  oidOf,
  readOne,
  smallIntegerOf,
  TAG,
  timeOf,
} from "./der-reader.ts";
import { type DistinguishedName, readName } from "./distinguished-name.ts";
import { type Extensions, readExtensions } from "./extensions.ts";
import { fingerprint } from "./certificate.ts";

/** A certificate taken apart (RFC 5280 §4.1), once for all checks. */
export interface ParsedCertificate extends Extensions {
  readonly certificate: X509Certificate;
  /** Lower-case hex. */
  readonly sha256: string;
  /** 1 or 3; only 3 has extensions. */
  readonly version: number;
  /** The integer's octets in hex. */
  readonly serial: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: AlgorithmIdentifier & {
    /** The SubjectPublicKeyInfo, as pins have it. */
    readonly encoding: Buffer;
    /** Of the BIT STRING. */
    readonly key: Buffer;
  };
  readonly signature: AlgorithmIdentifier;
}

export interface AlgorithmIdentifier {
  readonly oid: string;
  /** The parameters' encoding; null where there are none. */
  readonly parameters: Buffer | null;
}

/** Reads a certificate; the reason where it is not DER as RFC 5280 has it. Never throws. What was read once is kept for a while. */
export function parsed(certificate: X509Certificate): ParsedCertificate | string {
  const known = OF_OBJECT.get(certificate);
  if (known !== undefined) return known;
  const sha256 = fingerprint(certificate);
  const kept = KEPT.get(sha256) ?? read(certificate, sha256);
  OF_OBJECT.set(certificate, kept);
  return kept;
}

/** The key as OpenSSL reads it; null where it cannot. */
export function keyOf(certificate: ParsedCertificate): KeyObject | null {
  let key = KEYS.get(certificate);
  if (key === undefined) {
    try {
      key = certificate.certificate.publicKey;
    } catch {
      key = null;
    }
    KEYS.set(certificate, key);
  }
  return key;
}

/** SHA-256 of the SubjectPublicKeyInfo, base64: a pin (RFC 7469 §2.4). */
export function pinOf({ publicKey }: ParsedCertificate): string {
  return hash("sha256", publicKey.encoding, "base64");
}

/** Throws MalformedDer. */
export function readAlgorithm(reader: DerReader): AlgorithmIdentifier {
  const inside = reader.enter(TAG.sequence);
  const oid = oidOf(inside.read(TAG.oid));
  const parameters = inside.isAtEnd ? null : inside.read().encoding;
  inside.end();
  return { oid, parameters };
}

/** OpenSSL takes chains of 100 KiB; certificates with post-quantum signatures have 50 KiB at most. */
const MAX_BYTES = 64 * 1024;
/** A peer chooses what it sends, so what is kept of it has an end. */
const MAX_KEPT_BYTES = 1024 * 1024;
const OF_OBJECT = new WeakMap<X509Certificate, ParsedCertificate | string>();
const KEYS = new WeakMap<ParsedCertificate, KeyObject | null>();
const KEPT = new Map<string, ParsedCertificate>();
let keptBytes = 0;

function read(certificate: X509Certificate, sha256: string): ParsedCertificate | string {
  try {
    const { raw } = certificate;
    if (raw.length > MAX_BYTES) return `it has more than ${MAX_BYTES} bytes`;
    const found = readCertificate(certificate, raw, sha256);
    keep(found, raw.length);
    return found;
  } catch (error) {
    return error instanceof MalformedDer ? error.message : "it cannot be read";
  }
}

function keep(certificate: ParsedCertificate, bytes: number): void {
  KEPT.set(certificate.sha256, certificate);
  keptBytes += bytes;
  for (const [oldest, kept] of KEPT) {
    if (keptBytes <= MAX_KEPT_BYTES) return;
    KEPT.delete(oldest);
    keptBytes -= kept.certificate.raw.length;
  }
}

function readCertificate(certificate: X509Certificate, raw: Buffer, sha256: string): ParsedCertificate {
  const outer = new DerReader(readOne(raw, TAG.sequence).content);
  const inner = outer.enter(TAG.sequence);
  const signature = readAlgorithm(outer);
  outer.read(TAG.bitString);
  outer.end();
  const versionTag = inner.optional(context(0, "constructed"));
  const version = versionTag === undefined ? 0 : smallIntegerOf(readOne(versionTag.content, TAG.integer));
  const serial = integerHex(inner.read(TAG.integer));
  const named = readAlgorithm(inner);
  if (!isSameAlgorithm(named, signature))
    throw new MalformedDer("two signature algorithms (RFC 5280 §4.1.1.2)");
  const issuer = readName(inner.read(TAG.sequence));
  const validity = inner.enter(TAG.sequence);
  const notBefore = timeOf(validity.read());
  const notAfter = timeOf(validity.read());
  validity.end();
  const subject = readName(inner.read(TAG.sequence));
  const publicKey = readPublicKey(inner.read(TAG.sequence).encoding);
  inner.optional(context(1, "primitive"));
  inner.optional(context(2, "primitive"));
  const extensions = inner.optional(context(3, "constructed"));
  inner.end();
  if (version > 2 || (extensions !== undefined && version !== 2))
    throw new MalformedDer(`extensions, and version ${version + 1}`);
  return {
    certificate,
    sha256,
    version: version + 1,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    signature,
    ...readExtensions(extensions?.content ?? null),
  };
}

function readPublicKey(encoding: Buffer): ParsedCertificate["publicKey"] {
  const outer = new DerReader(encoding);
  const inside = outer.enter(TAG.sequence);
  const algorithm = readAlgorithm(inside);
  const { content } = inside.read(TAG.bitString);
  inside.end();
  return { ...algorithm, encoding, key: content.subarray(1) };
}

function isSameAlgorithm(one: AlgorithmIdentifier, other: AlgorithmIdentifier): boolean {
  const none = Buffer.alloc(0);
  return one.oid === other.oid && (one.parameters ?? none).equals(other.parameters ?? none);
}
