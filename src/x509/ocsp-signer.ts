import { createHash } from "node:crypto";
import { isSignedWith, weakSignature } from "./algorithms.ts";
import { parseCertificate } from "./certificate.ts";
import { described } from "./finding.ts";
import { isNamedIssuer, isSignedBy } from "./issuer.ts";
import type { OcspResponse } from "./ocsp.ts";
import { keyOf, type ParsedCertificate, parsed } from "./parsed-certificate.ts";

/**
 * Why a client would not believe a response about `leaf`, a clause after "it"; null: it would. It is signed by who issued the certificate, or by
 * whom that one appointed: a certificate of its own making, for this purpose (RFC 6960 §4.2.2.2). `issuers`: who may have issued the leaf.
 * Undefined: none of them did, so nobody here can tell.
 */
export function faultOfStaple(
  { answers, signed, responder, certificates }: OcspResponse,
  leaf: ParsedCertificate,
  issuers: Iterable<ParsedCertificate>,
  now: number,
): string | null | undefined {
  const issuer = [...issuers].find((each) => isNamedIssuer(leaf, each) && isSignedBy(leaf, each));
  if (issuer === undefined) return undefined;
  const isOfThatKey = answers.every(({ issuerNameHash: { algorithm }, issuerKeyHash }) =>
    createHash(algorithm).update(issuer.publicKey.key).digest().equals(issuerKeyHash),
  );
  if (!isOfThatKey) return `is about another CA's certificate: the key is not that of ${described(issuer)}`;
  const weak = weakSignature({ signature: signed.algorithm });
  if (weak !== null) return `is signed by ${weak}`;
  const isResponder = (certificate: ParsedCertificate): boolean =>
    "name" in responder
      ? responder.name === certificate.subject.key
      : createHash("sha1").update(certificate.publicKey.key).digest().equals(responder.keyHash);
  const hasSigned = (certificate: ParsedCertificate): boolean => {
    const key = keyOf(certificate);
    return key !== null && isSignedWith(signed, key);
  };
  if (isResponder(issuer) && hasSigned(issuer)) return null;
  const sent = certificates.flatMap((der) => {
    const certificate = parseCertificate(der);
    const read = certificate === null ? "unreadable" : parsed(certificate);
    return typeof read === "string" || !isResponder(read) || !hasSigned(read) ? [] : [read];
  });
  const [signer] = sent;
  if (signer === undefined)
    return `is not signed by ${described(issuer)}, which issued the certificate, nor by a responder whose certificate is in it`;
  const appointed = sent.filter((each) => isNamedIssuer(each, issuer) && isSignedBy(each, issuer));
  if (appointed.length === 0)
    return `is signed by ${described(signer)}, which ${described(issuer)} did not appoint`;
  const meant = appointed.filter(({ extendedKeyUsage }) => extendedKeyUsage?.includes(OCSP_SIGNING));
  if (meant.length === 0)
    return `is signed by ${described(signer)}, whose certificate is not for that (extendedKeyUsage without OCSPSigning)`;
  return meant.some(({ notBefore, notAfter }) => notBefore <= now && now <= notAfter)
    ? null
    : `is signed by ${described(signer)}, whose certificate is out of its dates`;
}

/** id-kp-OCSPSigning. */
const OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";
