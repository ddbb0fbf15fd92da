import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { subjectAlternativeNames } from "./certificate.ts";

export type NameCheck =
  | { readonly ok: true; readonly matched: string }
  /** The SANs that the certificate has, for the operator. */
  | { readonly ok: false; readonly presented: readonly string[] };

/**
 * Checks a peer's certificate against the one name it was dialled by (RFC 9525). Only subjectAltName counts, never the
 * CN (§2); a wildcard stands for exactly one, complete, left-most label (§6.3); an address matches an iPAddress SAN only.
 */
export function verifyPeerName(certificate: X509Certificate, name: string): NameCheck {
  const matched =
    isIP(name) === 0
      ? certificate.checkHost(name, { subject: "never", partialWildcards: false, multiLabelWildcards: false })
      : certificate.checkIP(name);
  if (matched !== undefined) return { ok: true, matched };
  const { dnsNames, ipAddresses, uris } = subjectAlternativeNames(certificate);
  return { ok: false, presented: [...dnsNames, ...ipAddresses, ...uris] };
}
