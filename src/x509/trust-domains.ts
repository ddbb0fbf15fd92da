import { fingerprint, parseCertificate } from "./certificate.ts";
import { type CertificateFinding, described, shortened } from "./finding.ts";
import { printGeneralName } from "./general-name.ts";
import type { ParsedCertificate } from "./parsed-certificate.ts";
import { spiffeIdOf, trustDomainOf } from "./spiffe.ts";

/** Of each SPIFFE trust domain, which anchors vouch for its IDs: SHA-256, as facts have it. */
export type TrustDomains = ReadonlyMap<string, ReadonlySet<string>>;

/** Reads the bundles of trust domains, PEM, for `PeerExpectation.domains`. */
export function readTrustDomains(bundles: Readonly<Record<string, readonly string[]>>): TrustDomains {
  const sha256 = (pem: string): string[] => {
    const certificate = parseCertificate(pem);
    return certificate === null ? [] : [fingerprint(certificate)];
  };
  return new Map(
    Object.entries(bundles).map(([domain, pems]) => [domain, new Set(pems.flatMap((pem) => sha256(pem)))]),
  );
}

/**
 * The bundle of one trust domain vouches for that domain's IDs and for nothing else (SPIFFE Trust Domain and Bundle §5,
 * X509-SVID §5.2): a federated CA cannot issue an ID of ours, nor a certificate without any.
 */
export function notVouchedFor(
  path: readonly ParsedCertificate[],
  domains: TrustDomains | undefined,
): CertificateFinding | null {
  if (domains === undefined) return null;
  const [leaf, anchor] = [path[0], path.at(-1)] as [ParsedCertificate, ParsedCertificate];
  const uris = leaf.alternativeNames.flatMap((name) => (name.kind === "uri" ? [name.text] : []));
  const id = spiffeIdOf(uris);
  const domain = id === undefined ? null : trustDomainOf(id);
  if (domain === null) {
    const names = leaf.alternativeNames.slice(0, 5).map(printGeneralName).join(", ");
    const says = `has no SPIFFE ID as its one URI, which a CA of a trust domain vouches for; it is for ${shortened(names) || "nobody"}`;
    return { fault: "spiffe_id_mismatch", certificate: leaf, says };
  }
  if (domains.get(domain)?.has(anchor.sha256) === true) return null;
  const says = domains.has(domain)
    ? `has an ID of ${domain}, for which its CA ${described(anchor)} may not vouch`
    : `has an ID of ${domain}, which is none of the trust domains that are trusted (${[...domains.keys()].join(", ")})`;
  return { fault: "issuer_unknown", certificate: leaf, says };
}
