import type { AuthorityKey } from "./extensions.ts";
import { keyOf, type ParsedCertificate } from "./parsed-certificate.ts";

/** Whether `issuer` is who the certificate says its issuer is: by name, and by key identifier, both or one being there. */
export function isNamedIssuer(certificate: ParsedCertificate, issuer: ParsedCertificate): boolean {
  return certificate.issuer.key === issuer.subject.key && isNamedKey(certificate.authorityKey, issuer);
}

/** The certificate names the key of its issuer, and `issuer` has that name for its own: another key is no candidate. */
export function namesKeyOf(certificate: ParsedCertificate, issuer: ParsedCertificate): boolean {
  const keyId = certificate.authorityKey?.keyId ?? null;
  return keyId !== null && keyId === issuer.subjectKey;
}

/** Issuer and subject have one name (RFC 5280 §3.2), whoever signed it. */
export function isSelfIssued(certificate: ParsedCertificate): boolean {
  return certificate.subject.key === certificate.issuer.key;
}

/** Signed with the key that it carries itself. */
export function isSelfSigned(certificate: ParsedCertificate): boolean {
  return isNamedIssuer(certificate, certificate) && isSignedBy(certificate, certificate);
}

/** Whether the signature verifies with the issuer's key. Never throws. What was verified once is kept for a while. */
export function isSignedBy(certificate: ParsedCertificate, issuer: ParsedCertificate): boolean {
  const pair = certificate.sha256 + issuer.sha256;
  let verdict = VERIFIED.get(pair);
  if (verdict === undefined) {
    verdict = verify(certificate, issuer);
    if (VERIFIED.size >= MAX_VERIFIED) VERIFIED.clear();
    VERIFIED.set(pair, verdict);
  }
  return verdict;
}

/** A few hundred bytes each. */
const MAX_VERIFIED = 8192;
const VERIFIED = new Map<string, boolean>();

function verify(certificate: ParsedCertificate, issuer: ParsedCertificate): boolean {
  const key = keyOf(issuer);
  try {
    return key !== null && certificate.certificate.verify(key);
  } catch {
    // An algorithm that this OpenSSL refuses.
    return false;
  }
}

/** As OpenSSL has it (RFC 5280 §4.2.1.1): whatever is there must be equal. */
export function isNamedKey(named: AuthorityKey | null, issuer: ParsedCertificate): boolean {
  if (named === null) return true;
  if (named.keyId !== null && issuer.subjectKey !== null && named.keyId !== issuer.subjectKey) return false;
  if (named.serial !== null && named.serial !== issuer.serial) return false;
  const above = named.issuer.find((name) => name.kind === "directory");
  return above === undefined || above.name.key === issuer.issuer.key;
}
