import { createPublicKey, type KeyObject, type X509Certificate } from "node:crypto";
import {
  context,
  DerReader,
  namedBitsOf,
  oidOf,
  readAll,
  readOne,
  smallIntegerOf,
  TAG,
} from "./der-reader.ts";
import { readName } from "./distinguished-name.ts";
import { KEY_USAGE } from "./extensions.ts";
import { parsed } from "./parsed-certificate.ts";
import { isMultiPrime } from "./private-key.ts";

/**
 * Why BoringSSL, Envoy's TLS, presents no certificate with this key, one clause; null: it does. Tried on Envoy 1.40: only the
 * leaf's key matters, in intermediates and trust anchors it takes any. OpenSSL has more curves and kinds. `encodedBytes`: of
 * its SubjectPublicKeyInfo, where that is at hand.
 */
export function refusedByBoringSsl(key: KeyObject, encodedBytes?: number): string | null {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      if (modulusLength < 2048) return `an RSA key of ${modulusLength} bits`;
      if (publicExponent > LARGEST_EXPONENT) return "an RSA key with a public exponent above 2^33";
      return isMultiPrime(key) ? "an RSA key of more than two primes" : null;
    case "rsa-pss":
      return "a key that is for RSA-PSS alone";
    case "ec": {
      const length = NAMED_CURVES.get(namedCurve);
      if (length === undefined) return `a key on the curve ${namedCurve || "that has no name"}`;
      const bytes = encodedBytes ?? publicOf(key).export({ type: "spki", format: "der" }).byteLength;
      return bytes > length ? "a key whose curve is written out rather than named" : null;
    }
    case "ed25519":
      return null;
    default:
      return `a key of type ${key.asymmetricKeyType ?? "unknown"}`;
  }
}

/**
 * Why BoringSSL does not load a chain, leaf first, one clause; null: it does. Signatures, dates and most extensions are its peers' business;
 * of the leaf's alone it looks at the key usage, and only where the key is on a curve.
 */
export function chainRefusedByBoringSsl(chain: readonly X509Certificate[]): string | null {
  const [leaf] = chain;
  const outline = leaf === undefined ? null : outlineOf(leaf);
  if (outline?.isOnCurve === true) {
    if (!outline.maySign)
      return "an EC key whose certificate does not let it sign (keyUsage without digitalSignature)";
    if (!POINTS.has(outline.point)) return "an EC key whose point is written in a form that is out of use";
  }
  return unreadableByBoringSsl(chain);
}

/** What among certificates, CAs too, BoringSSL cannot read, though OpenSSL can; null: nothing. */
export function unreadableByBoringSsl(certificates: readonly X509Certificate[]): string | null {
  for (const certificate of certificates) {
    const outline = outlineOf(certificate);
    if (outline === null) return "a certificate that is not DER";
    const { version, hasExtensions } = outline;
    if (version > 2) return `a certificate of version ${version + 1}`;
    if (hasExtensions && version < 2) return `a certificate of version ${version + 1} with extensions`;
    if (outline.hasEmptyName) return "a certificate whose name has a part with nothing in it";
  }
  return null;
}

interface Outline {
  readonly version: number;
  readonly hasExtensions: boolean;
  readonly hasEmptyName: boolean;
  readonly isOnCurve: boolean;
  /** The first two octets of its BIT STRING, in hex. */
  readonly point: string;
  readonly maySign: boolean;
}

/** What decides; null: it is not DER. */
function outlineOf(certificate: X509Certificate): Outline | null {
  const whole = parsed(certificate);
  if (typeof whole === "string") return outlineOfFlawed(certificate);
  const { version, issuer, subject, keyUsage, publicKey } = whole;
  const { encoding, key } = publicKey;
  return {
    version: version - 1,
    hasExtensions: version === 3,
    hasEmptyName: [issuer, subject].some(({ relative }) => relative.includes("")),
    isOnCurve: publicKey.oid === EC_PUBLIC_KEY,
    point: encoding.subarray(encoding.length - key.length - 1).toString("hex", 0, 2),
    maySign: keyUsage === null || (keyUsage & KEY_USAGE.digitalSignature) !== 0,
  };
}

/** Of a certificate that RFC 5280 would not have, and OpenSSL reads all the same. */
function outlineOfFlawed({ raw }: X509Certificate): Outline | null {
  try {
    const inner = new DerReader(readOne(raw, TAG.sequence).content).enter(TAG.sequence);
    const versioned = inner.optional(context(0, "constructed"));
    const version = versioned === undefined ? 0 : smallIntegerOf(readOne(versioned.content, TAG.integer));
    inner.read(TAG.integer);
    inner.read(TAG.sequence);
    const issuer = readName(inner.read(TAG.sequence));
    inner.read(TAG.sequence);
    const subject = readName(inner.read(TAG.sequence));
    const key = inner.enter(TAG.sequence);
    const isOnCurve = oidOf(key.enter(TAG.sequence).read(TAG.oid)) === EC_PUBLIC_KEY;
    const point = key.read(TAG.bitString).content.subarray(0, 2).toString("hex");
    inner.optional(context(1, "primitive"));
    inner.optional(context(2, "primitive"));
    const extensions = inner.optional(context(3, "constructed"));
    const hasEmptyName = [issuer, subject].some(({ relative }) => relative.includes(""));
    const maySign = extensions === undefined || isForSigning(extensions.content);
    return { version, hasExtensions: extensions !== undefined, hasEmptyName, isOnCurve, point, maySign };
  } catch {
    return null;
  }
}

/** Throws MalformedDer. An extension that is there twice is a matter for peers: the first one counts. */
function isForSigning(extensions: Buffer): boolean {
  const usages = readAll(readOne(extensions, TAG.sequence).content, TAG.sequence).flatMap(({ content }) => {
    const reader = new DerReader(content);
    const oid = oidOf(reader.read(TAG.oid));
    reader.optional(TAG.boolean);
    const { content: value } = reader.read(TAG.octetString);
    return oid === KEY_USAGE_EXTENSION ? [value] : [];
  });
  const [usage] = usages;
  if (usage === undefined) return true;
  try {
    return (namedBitsOf(readOne(usage, TAG.bitString)) & KEY_USAGE.digitalSignature) !== 0;
  } catch {
    return false;
  }
}

/** No unused bits, and a point in full or compressed (SEC 1 §2.3.3); OpenSSL has a third, hybrid form. */
const POINTS: ReadonlySet<string> = new Set(["0004", "0002", "0003"]);
const KEY_USAGE_EXTENSION = "2.5.29.15";
const EC_PUBLIC_KEY = "1.2.840.10045.2.1";

const LARGEST_EXPONENT = 2n ** 33n - 1n;

/** With the length of a SubjectPublicKeyInfo that names it (RFC 5480 §2). */
const NAMED_CURVES: ReadonlyMap<string, number> = new Map([
  ["prime256v1", 91],
  ["secp384r1", 120],
  ["secp521r1", 158],
]);

function publicOf(key: KeyObject): KeyObject {
  return key.type === "private" ? createPublicKey(key) : key;
}
