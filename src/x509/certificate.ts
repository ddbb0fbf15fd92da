import { type KeyObject, X509Certificate } from "node:crypto";
import { canonicalAddress } from "./address.ts";
import { spiffeIdOf } from "./spiffe.ts";

/** Reads one PEM or DER certificate; null where it is none. */
export function parseCertificate(certificate: string | Buffer): X509Certificate | null {
  try {
    return new X509Certificate(certificate);
  } catch {
    return null;
  }
}

/** Whom it is for, in one line: its SPIFFE ID, else its subject, else the first of its other names. */
export function certificateName(certificate: X509Certificate): string {
  const { dnsNames, ipAddresses, uris } = subjectAlternativeNames(certificate);
  const subject = distinguishedName(certificate.subject, ", ");
  return spiffeIdOf(uris) ?? (subject === "" ? ([...dnsNames, ...ipAddresses, ...uris][0] ?? "") : subject);
}

/** SHA-256 of the whole certificate, in lower-case hex. */
export function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

/** RFC 2253 §2.1: the last relative name first. Node prints them on lines of their own, and has escaped what §2.4 says. */
export function distinguishedName(name: string | undefined, separator = ","): string {
  return (name ?? "").split("\n").reverse().join(separator);
}

/** In the order in which Node prints it, on one line. */
export function oneLineName(name: string | undefined): string {
  return (name ?? "").replaceAll("\n", ", ");
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
    else if (found[1] === "IP Address") names.ipAddresses.push(canonicalAddress(value));
    else if (found[1] === "URI") names.uris.push(value);
    if (entry.lastIndex >= text.length) break;
  }
  return names;
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
