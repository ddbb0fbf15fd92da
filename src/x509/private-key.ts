import { createECDH, type KeyObject } from "node:crypto";
import { DerReader, readOne, smallIntegerOf, TAG } from "./der-reader.ts";

/**
 * What is wrong with a private key that says its public key itself, one clause; null: nothing. OpenSSL compares public keys alone,
 * and would sign with what does not belong to them: every handshake would fail. BoringSSL does not load such a key.
 */
export function inconsistencyOf(key: KeyObject): string | null {
  try {
    if (key.asymmetricKeyType === "ec") return ecInconsistency(key);
    return key.asymmetricKeyType === "rsa" ? rsaInconsistency(key) : null;
  } catch {
    return "its parts cannot be read";
  }
}

/** Whether an RSA key has more than two primes (RFC 8017 §3.2): OpenSSL takes it, BoringSSL does not. */
export function isMultiPrime(key: KeyObject): boolean {
  return key.type === "private" && key.asymmetricKeyType === "rsa" && versionOf(rsaKey(key)) !== 0;
}

/** RFC 8017 §3.2. */
function rsaInconsistency(key: KeyObject): string | null {
  const reader = rsaKey(key);
  if (versionOf(reader) !== 0) return null;
  const numbers: bigint[] = [];
  while (reader.nextTag === TAG.integer)
    numbers.push(BigInt(`0x${reader.read(TAG.integer).content.toString("hex")}`));
  const [n = 0n, e = 0n, d = 0n, p = 0n, q = 0n, dp = 0n, dq = 0n, inverse = 0n] = numbers;
  const isConsistent =
    p > 1n &&
    q > 1n &&
    p * q === n &&
    d < n &&
    (d * e) % (p - 1n) === 1n &&
    (d * e) % (q - 1n) === 1n &&
    dp === d % (p - 1n) &&
    dq === d % (q - 1n) &&
    inverse < p &&
    (inverse * q) % p === 1n;
  return isConsistent ? null : "its numbers do not belong together";
}

/** At its version; its numbers follow. */
function rsaKey(key: KeyObject): DerReader {
  return new DerReader(readOne(key.export({ type: "pkcs1", format: "der" }), TAG.sequence).content);
}

function versionOf(reader: DerReader): number {
  return smallIntegerOf(reader.read(TAG.integer));
}

function ecInconsistency(key: KeyObject): string | null {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  // What has no name, or a name that ECDH does not know, is no key for TLS.
  if (curve === undefined || !JWK_CURVES.has(curve)) return null;
  const { d = "", x = "", y = "" } = key.export({ format: "jwk" });
  const pair = createECDH(curve);
  pair.setPrivateKey(d, "base64url");
  const [given, made] = [`${hex(x)}${hex(y)}`, pair.getPublicKey("hex").slice(2)];
  return given === made ? null : "its public key is another's";
}

/** Those that Node exports as JWK: RFC 7518 §6.2.1.1, and RFC 8812. */
const JWK_CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1", "secp256k1"]);

function hex(base64url: string): string {
  return Buffer.from(base64url, "base64url").toString("hex");
}
