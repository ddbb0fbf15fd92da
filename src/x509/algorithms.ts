import { constants, type KeyObject, verify } from "node:crypto";
import { context, DerReader, oidOf, readOne, TAG } from "./der-reader.ts";
import { type AlgorithmIdentifier, type ParsedCertificate, readAlgorithm } from "./parsed-certificate.ts";

/**
 * Why the certificate's key is too weak, one clause; null: it is not. Below 112 bits of strength (NIST SP 800-131A,
 * OpenSSL's security level 2), and what is no key for TLS at all. Never throws.
 */
export function weakKey({ publicKey }: ParsedCertificate): string | null {
  const { oid, parameters, key } = publicKey;
  switch (oid) {
    case "1.2.840.113549.1.1.1":
    case RSA_PSS:
      return weakRsa(key);
    case "1.2.840.10045.2.1":
      return weakCurve(parameters);
    case "1.2.840.10040.4.1":
      return "a DSA key, which TLS 1.3 does not know";
    default:
      return STRONG_KEYS.has(oid) ? null : `a key of a kind that is not known (${oid})`;
  }
}

/** Why the certificate's signature is too weak, one clause; null: it is not. An algorithm that nobody vouches for is. */
export function weakSignature({ signature }: Pick<ParsedCertificate, "signature">): string | null {
  const { oid, parameters } = signature;
  if (oid === RSA_PSS) return weakPss(parameters);
  const weak = WEAK_SIGNATURES[oid];
  if (weak !== undefined) return weak;
  return STRONG_SIGNATURES.has(oid) ? null : `an algorithm that is not known (${oid})`;
}

/** How a signature of this algorithm is verified; a hash of null is the algorithm's own. Undefined where it is not known how. */
function signatureHash({
  oid,
  parameters,
}: AlgorithmIdentifier): { readonly hash: string | null; readonly padding?: "pss" } | undefined {
  if (oid !== RSA_PSS) return SIGNATURE_HASHES.get(oid);
  const hash = parameters === null ? undefined : HASHES[pssHash(parameters) ?? ""];
  return hash === undefined ? undefined : { hash, padding: "pss" };
}

/** What a CA signed that is no certificate. */
export interface Signed {
  readonly body: Buffer;
  readonly algorithm: AlgorithmIdentifier;
  readonly signature: Buffer;
}

/** Whether the signature verifies with this key. Never throws. */
export function isSignedWith({ body, algorithm, signature }: Signed, key: KeyObject): boolean {
  const known = signatureHash(algorithm);
  if (known === undefined) return false;
  const padding =
    known.padding === "pss"
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }
      : {};
  try {
    return verify(known.hash, body, { key, ...padding }, signature);
  } catch {
    return false;
  }
}

/** Go and OpenSSL bound it too: what a key costs grows with its square, and the peer sends it. */
const MAX_RSA_BITS = 8192;

function weakRsa(key: Buffer): string | null {
  try {
    const numbers = new DerReader(readOne(key, TAG.sequence).content);
    const modulus = bitsOf(numbers.read(TAG.integer).content);
    const { content: exponent } = numbers.read(TAG.integer);
    if (modulus < 2048) return `an RSA key of ${modulus} bits`;
    if (modulus > MAX_RSA_BITS)
      return `an RSA key of ${modulus} bits, more than the ${MAX_RSA_BITS} that are read`;
    const isOdd = ((exponent.at(-1) ?? 0) & 1) === 1;
    return isOdd && bitsOf(exponent) >= 2 ? null : "an RSA key whose public exponent signs anything";
  } catch {
    return "an RSA key that cannot be read";
  }
}

function bitsOf(integer: Buffer): number {
  const first = integer.findIndex((octet) => octet !== 0);
  return first === -1 ? 0 : (integer.length - first) * 8 - (Math.clz32(integer[first] as number) - 24);
}

function weakCurve(parameters: Buffer | null): string | null {
  try {
    if (parameters?.[0] !== TAG.oid) return "an EC key whose curve is written out rather than named";
    const curve = oidOf(readOne(parameters));
    if (STRONG_CURVES.has(curve)) return null;
    return `an EC key on ${WEAK_CURVES[curve] ?? `the curve ${curve}`}`;
  } catch {
    return "an EC key that cannot be read";
  }
}

function weakPss(parameters: Buffer | null): string | null {
  try {
    const hash = parameters === null ? null : pssHash(parameters);
    if (hash === null) return "RSA-PSS with SHA-1";
    return STRONG_HASHES.has(hash) ? null : "RSA-PSS with a weak hash";
  } catch {
    return "RSA-PSS with parameters that cannot be read";
  }
}

/** Of RSASSA-PSS-params (RFC 4055 §3.1); without one it is SHA-1. Throws MalformedDer. */
function pssHash(parameters: Buffer): string | null {
  const hash = new DerReader(readOne(parameters, TAG.sequence).content).optional(context(0, "constructed"));
  return hash === undefined ? null : readAlgorithm(new DerReader(hash.content)).oid;
}

const RSA_PSS = "1.2.840.113549.1.1.10";

/** Ed25519, Ed448 (RFC 8410); ML-DSA (FIPS 204), SLH-DSA (FIPS 205). */
const STRONG_KEYS: ReadonlySet<string> = new Set([
  "1.3.101.112",
  "1.3.101.113",
  ...range("2.16.840.1.101.3.4.3", 17, 31),
]);

/** P-256, P-384, P-521, secp256k1, and Brainpool's of 256 bits and more. */
const STRONG_CURVES: ReadonlySet<string> = new Set([
  "1.2.840.10045.3.1.7",
  "1.3.132.0.34",
  "1.3.132.0.35",
  "1.3.132.0.10",
  ...range("1.3.36.3.3.2.8.1.1", 7, 14),
]);

const WEAK_CURVES: Readonly<Record<string, string>> = {
  "1.3.132.0.33": "P-224",
  "1.2.840.10045.3.1.1": "P-192",
};

/** SHA-224 and better: its 112 bits are what security level 2 asks for. */
const STRONG_HASHES: ReadonlySet<string> = new Set(range("2.16.840.1.101.3.4.2", 1, 10));

const STRONG_SIGNATURES: ReadonlySet<string> = new Set([
  ...range("1.2.840.113549.1.1", 11, 16),
  ...range("1.2.840.10045.4.3", 1, 4),
  // SHA-3 with ECDSA and RSA, then the post-quantum ones.
  ...range("2.16.840.1.101.3.4.3", 9, 31),
  "1.3.101.112",
  "1.3.101.113",
]);

const WEAK_SIGNATURES: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.2": "RSA with MD2",
  "1.2.840.113549.1.1.3": "RSA with MD4",
  "1.2.840.113549.1.1.4": "RSA with MD5",
  "1.2.840.113549.1.1.5": "RSA with SHA-1",
  "1.3.14.3.2.29": "RSA with SHA-1",
  "1.2.840.10045.4.1": "ECDSA with SHA-1",
  "1.2.840.10040.4.3": "DSA with SHA-1",
  "1.3.36.3.3.1.2": "RSA with RIPEMD-160",
};

const HASHES: Readonly<Record<string, string>> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
  "2.16.840.1.101.3.4.2.4": "sha224",
};

/** RSA, then ECDSA, then what hashes by itself: Edwards curves, ML-DSA, SLH-DSA. */
const SIGNATURE_HASHES: ReadonlyMap<string, { readonly hash: string | null }> = new Map([
  ...hashedBy("1.2.840.113549.1.1", 11, ["sha256", "sha384", "sha512", "sha224"]),
  ...hashedBy("1.2.840.10045.4.3", 1, ["sha224", "sha256", "sha384", "sha512"]),
  ...hashedBy("1.3.101", 112, [null, null]),
  ...hashedBy(
    "2.16.840.1.101.3.4.3",
    17,
    Array.from({ length: 15 }, () => null),
  ),
]);

function hashedBy(
  arc: string,
  from: number,
  hashes: readonly (string | null)[],
): [string, { readonly hash: string | null }][] {
  return hashes.map((hash, index) => [`${arc}.${from + index}`, { hash }]);
}

function range(arc: string, from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `${arc}.${from + index}`);
}
