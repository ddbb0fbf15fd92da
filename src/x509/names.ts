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
 * What is neither a host name nor an address matches nothing: OpenSSL would take `.example.com` for "any name below".
 */
export function verifyPeerName(certificate: X509Certificate, name: string): NameCheck {
  const matched = isIP(name) === 0 ? matchingHost(certificate, name) : certificate.checkIP(name);
  if (matched !== undefined) return { ok: true, matched };
  const { dnsNames, ipAddresses, uris } = subjectAlternativeNames(certificate);
  return { ok: false, presented: [...dnsNames, ...ipAddresses, ...uris] };
}

function matchingHost(certificate: X509Certificate, name: string): string | undefined {
  const host = hostName(name);
  if (host === null) return undefined;
  return certificate.checkHost(host, {
    subject: "never",
    partialWildcards: false,
    multiLabelWildcards: false,
  });
}

/** Without the root's dot, which says that a name is absolute and never stands in a SAN; null where it is no host name. */
export function hostName(name: string): string | null {
  const host = name.endsWith(".") ? name.slice(0, -1) : name;
  return host.length > 253 || !HOST_NAME.test(host) ? null : host;
}

/** Labels of RFC 1123 §2.1, and underscores, which service names in use have. */
const HOST_NAME = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
