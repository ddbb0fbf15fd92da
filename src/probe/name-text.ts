import type { X509Certificate } from "node:crypto";
import { readOne } from "../x509/der-reader.ts";
import { type DistinguishedName, printName, readName } from "../x509/distinguished-name.ts";
import { parsed } from "../x509/parsed-certificate.ts";

/** A name as DER in the words of `distinguishedName`: the last relative name first. */
export function nameText(der: Buffer): string {
  const name = read(der);
  return name === null ? "a name that cannot be read" : printName(name);
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
