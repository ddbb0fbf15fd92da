import { ATTRIBUTE, attributesOf, printName } from "./distinguished-name.ts";
import { type CertificateFinding, described, shortened } from "./finding.ts";
import { isNamedIssuer, isSelfSigned, isSignedBy } from "./issuer.ts";
import type { ParsedCertificate } from "./parsed-certificate.ts";
import { buildPaths, type Path, type Pool } from "./path-building.ts";

/**
 * Why no path ends at an anchor. A certificate says who its issuer is, never who issued that one, so that something
 * between it and an anchor is missing is told from what points there.
 */
export function whyBroken(
  deadEnd: Path,
  pool: Pool,
  known: readonly ParsedCertificate[],
): CertificateFinding {
  const leaf = deadEnd[0] as ParsedCertificate;
  const last = deadEnd.at(-1) as ParsedCertificate;
  if (isSelfSigned(last)) {
    if (last === leaf)
      return { fault: "self_signed_leaf", certificate: leaf, says: "is self-signed and not trusted itself" };
    const says = `ends its chain and is none of the CAs that are trusted${anothers(last, pool)}`;
    return { fault: "issuer_unknown", certificate: last, says };
  }
  const issuer = shortened(printName(last.issuer));
  const above = missingBetween(last, deadEnd, pool, known);
  if (above !== null) {
    const says = `was issued by ${issuer}, which was not sent${above}`;
    return { fault: "intermediate_missing", certificate: last, says };
  }
  const says = `was issued by ${issuer}, which is neither trusted nor was it sent${anothers(last, pool)}`;
  return { fault: "issuer_unknown", certificate: last, says };
}

/** Signs of an anchor above an issuer that is not there, the surest first; a clause about it, or null. */
function missingBetween(
  last: ParsedCertificate,
  deadEnd: Path,
  pool: Pool,
  known: readonly ParsedCertificate[],
): string | null {
  // The issuer is known from elsewhere, and chains to an anchor.
  const withKnown = { ...pool, intermediates: [...known, ...pool.intermediates] };
  const [whole] = buildPaths(deadEnd[0] as ParsedCertificate, withKnown).complete;
  if (whole !== undefined)
    return `; it is known here and chains to ${described(whole.at(-1) as ParsedCertificate)}`;
  // An anchor of the issuer's very name with another key: there is no issuer between.
  if (pool.anchors.some((anchor) => anchor.subject.key === last.issuer.key)) return null;
  // The certificate says who issued its issuer (RFC 5280 §4.2.1.1).
  const named = last.authorityKey?.issuer.find((name) => name.kind === "directory")?.name.key;
  const vouching = pool.anchors.find((anchor) => anchor.subject.key === named);
  if (vouching !== undefined) return `; it was itself issued by ${described(vouching)}, which is trusted`;
  // Another certificate was sent that an anchor issued, and nothing leads to it: a gap in the chain.
  const loose = pool.intermediates.find(
    (sent) =>
      !deadEnd.includes(sent) &&
      pool.anchors.some((anchor) => isNamedIssuer(sent, anchor) && isSignedBy(sent, anchor)),
  );
  if (loose !== undefined) return `; ${described(loose)} was, and nothing leads to it`;
  // An anchor of the issuer's organisation, which seldom has two roots of which only one is given.
  const organizations = organizationsOf(last.issuer);
  const related = pool.anchors.find((anchor) =>
    organizationsOf(anchor.subject).some((organization) => organizations.includes(organization)),
  );
  return related === undefined ? null : `; ${described(related)} of the same organisation is trusted`;
}

function anothers(last: ParsedCertificate, { anchors }: Pool): string {
  const namesake = anchors.find((anchor) => anchor.subject.key === last.issuer.key);
  return namesake === undefined ? "" : ` (${described(namesake)} has that name and another key)`;
}

function organizationsOf(name: ParsedCertificate["issuer"]): string[] {
  return attributesOf(name, ATTRIBUTE.organization).map((text) => text.trim().toLowerCase());
}
