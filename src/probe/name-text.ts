import type { X509Certificate } from "node:crypto";
import { readOne } from "../x509/der-reader.ts";
import { type DistinguishedName, readName } from "../x509/distinguished-name.ts";
import { parsed } from "../x509/parsed-certificate.ts";

/** A name as DER in the words of `distinguishedName`: the last relative name first. */
export function nameText(der: Buffer): string {
  const name = read(der);
  if (name === null) return "a name that cannot be read";
  return [...name.attributes]
    .reverse()
    .map(({ oid, text }) => `${SHORT[oid] ?? oid}=${text}`)
    .join(", ");
}

/** Whether the names are those of one of the certificates' issuers (RFC 8446 §4.2.4: of any certificate of the chain). */
export function namesIssuerOf(names: readonly Buffer[], certificates: readonly X509Certificate[]): boolean {
  const keys = new Set(names.map((der) => read(der)?.key));
  return certificates.some((certificate) => {
    const own = parsed(certificate);
    return typeof own !== "string" && keys.has(own.issuer.key);
  });
}

function read(der: Buffer): DistinguishedName | null {
  try {
    return readName(readOne(der));
  } catch {
    // The peer chose the bytes.
    return null;
  }
}

const SHORT: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "0.9.2342.19200300.100.1.25": "DC",
  "1.2.840.113549.1.9.1": "emailAddress",
};
