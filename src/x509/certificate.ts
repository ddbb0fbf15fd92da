import { type KeyObject, X509Certificate } from "node:crypto";
import type { CertificateFacts } from "./facts.ts";

/** Reads one PEM or DER certificate; null where it is none. */
export function parseCertificate(certificate: string | Buffer): X509Certificate | null {
  try {
    return new X509Certificate(certificate);
  } catch {
    return null;
  }
}

/** Never throws: a key of a kind that OpenSSL does not know is `unknown`, a date that it cannot read is NaN. */
export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  return {
    subject: distinguishedName(certificate.subject, ", "),
    issuer: distinguishedName(certificate.issuer, ", "),
    serial: certificate.serialNumber.toLowerCase(),
    sha256: fingerprint(certificate),
    ...subjectAlternativeNames(certificate),
    notBefore: moment(certificate.validFrom, certificate.validFromDate),
    notAfter: moment(certificate.validTo, certificate.validToDate),
    keyType: publicKeyType(certificate),
    isCa: certificate.ca,
    // Node's name for the extended one. Its types say that it is always there.
    extendedKeyUsage: (certificate.keyUsage as string[] | undefined) ?? null,
  };
}

/** SHA-256 of the whole certificate, in lower-case hex. */
export function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

/** RFC 2253 §2.1: the last relative name first. Node prints them on lines of their own, and has escaped what §2.4 says. */
export function distinguishedName(name: string | undefined, separator = ","): string {
  return (name ?? "").split("\n").reverse().join(separator);
}

export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
}

/**
 * Splits Node's rendering of subjectAltName. A value that could be mistaken for another entry comes as a JSON string
 * (Node does so since CVE-2021-44532), so quotes are honoured and never guessed at.
 */
export function subjectAlternativeNames(certificate: X509Certificate): AlternativeNames {
  const names = { dnsNames: [] as string[], ipAddresses: [] as string[], uris: [] as string[] };
  const text = certificate.subjectAltName ?? "";
  const entry = /([^:,"]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))(?:, |$)/gy;
  for (let found = entry.exec(text); found !== null; found = entry.exec(text)) {
    const value = found[2] === undefined ? (found[3] ?? "") : (JSON.parse(found[2]) as string);
    if (found[1] === "DNS") names.dnsNames.push(value);
    else if (found[1] === "IP Address") names.ipAddresses.push(value);
    else if (found[1] === "URI") names.uris.push(value);
    if (entry.lastIndex >= text.length) break;
  }
  return names;
}

/** The text decides whether there is a date: where there is none, Node's Date may hold whatever was in memory. */
function moment(text: string, date: Date): number {
  return Number.isNaN(Date.parse(text)) ? Number.NaN : date.getTime();
}

function publicKeyType(certificate: X509Certificate): string {
  try {
    return keyType(certificate.publicKey);
  } catch {
    return "unknown";
  }
}

/** e.g. `EC P-256`, `RSA 2048`, `Ed25519`. */
export function keyType(key: KeyObject): string {
  const details = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
    case "rsa-pss":
      return `RSA ${details.modulusLength ?? "?"}`;
    case "ec":
      return `EC ${CURVES[details.namedCurve ?? ""] ?? details.namedCurve ?? "?"}`;
    case "ed25519":
      return "Ed25519";
    default:
      return key.asymmetricKeyType ?? "unknown";
  }
}

const CURVES: Readonly<Record<string, string>> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};
