import { createPublicKey, type KeyObject } from "node:crypto";

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
      return publicExponent > LARGEST_EXPONENT ? "an RSA key with a public exponent above 2^33" : null;
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
