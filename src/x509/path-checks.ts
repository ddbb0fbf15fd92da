import { weakKey, weakSignature } from "./algorithms.ts";
import { KEY_USAGE, NETSCAPE_TYPE } from "./extensions.ts";
import { type CertificateFinding, described } from "./finding.ts";
import type { CertificateFault } from "./faults.ts";
import { checkIdentity, type ExpectedIdentity } from "./identity.ts";
import { isSelfIssued, isSelfSigned, isSignedBy } from "./issuer.ts";
import { outsideConstraints } from "./name-constraints.ts";
import { type ParsedCertificate, pinOf } from "./parsed-certificate.ts";
import type { Path } from "./path-building.ts";
import { checkRevocation, type RevocationRule } from "./revocation.ts";
import { notVouchedFor, type TrustDomains } from "./trust-domains.ts";

export interface PathExpectation extends ExpectedIdentity {
  readonly usage: "client" | "server";
  readonly spkiSha256?: readonly string[];
  readonly maxDepth?: number;
  readonly revocation?: RevocationRule;
  /** Each anchor vouches for IDs of its own trust domain alone; absent: for whomever. */
  readonly domains?: TrustDomains;
}

export interface PathFinding extends CertificateFinding {
  /** How many checks were passed before. */
  readonly passed: number;
}

/** The first thing that is wrong with a path, or null. */
export function checkPath(path: Path, expected: PathExpectation, now: number): PathFinding | null {
  for (const [passed, check] of CHECKS.entries()) {
    const finding = check(path, expected, now);
    if (finding !== null) return { ...finding, passed };
  }
  return null;
}

/** All that is wrong with it, in the order of the checks. */
export function findingsOf(path: Path, expected: PathExpectation, now: number): CertificateFinding[] {
  return CHECKS.flatMap((check) => check(path, expected, now) ?? []);
}

type Check = (path: Path, expected: PathExpectation, now: number) => CertificateFinding | null;

/** From what makes a path one at all to what concerns this peer alone: the path that gets furthest is the one that was meant. */
const CHECKS: readonly Check[] = [
  // Before signatures are verified: a broken algorithm proves nothing.
  (path) => first(path.slice(0, -1), "signature_weak", weakSignatureOf),
  // From the anchor down, so that what a peer made up ends at its first signature.
  (path) => first(links(path).reverse(), "signature_invalid", badSignature),
  // Who may not sign has not vouched for anything.
  (path) => first(path.slice(1), "issuer_not_ca", notCa),
  // Nothing below is known to mean what it says.
  (path) => first(path, "critical_extension_unknown", unknownExtension),
  (path) => first(path, "key_weak", weakKeyOf),
  (path, _, now) => first(path, "certificate_expired", (it) => expired(it, now)),
  (path, _, now) => first(path, "certificate_not_yet_valid", (it) => notYetValid(it, now)),
  (path) => tooLong(path),
  (path, { maxDepth }) => tooDeep(path, maxDepth),
  (path, { usage }) => first(path, "purpose_wrong", (it) => wrongPurpose(it, usage, it === path[0])),
  outsideConstraints,
  // After whoever signs the lists is known to be a CA.
  (path, { revocation }, now) => (revocation === undefined ? null : checkRevocation(path, revocation, now)),
  // Whether this anchor is to be believed about this peer.
  (path, { domains }) => notVouchedFor(path, domains),
  // Whether it is the peer that was meant, after whether it is to be believed.
  identity,
  (path, { spkiSha256 }) => wrongPin(path, spkiSha256),
];

/** The finding about the first certificate of which `judge` has a clause to say. */
function first<T extends ParsedCertificate>(
  certificates: readonly T[],
  fault: CertificateFault,
  judge: (certificate: T) => string | null,
): CertificateFinding | null {
  for (const certificate of certificates) {
    const says = judge(certificate);
    if (says !== null) return { fault, certificate, says };
  }
  return null;
}

/** The anchor's own signature is nobody's business: it is trusted as it is. */
function weakSignatureOf(certificate: ParsedCertificate): string | null {
  const weak = weakSignature(certificate);
  return weak === null ? null : `is signed by ${weak}`;
}

interface Link extends ParsedCertificate {
  readonly by: ParsedCertificate;
}

function links(path: Path): Link[] {
  return path.slice(1).map((by, index) => ({ ...(path[index] as ParsedCertificate), by }));
}

function badSignature(link: Link): string | null {
  return isSignedBy(link, link.by) ? null : `has a signature that is not by ${described(link.by)}`;
}

/** Version 1 has no way to say that it is a CA; who trusts one that signed itself says so (RFC 5280 §6.1.4 k). */
function notCa(certificate: ParsedCertificate): string | null {
  const { basicConstraints, keyUsage, version } = certificate;
  if (version === 1 && isSelfSigned(certificate)) return null;
  if (basicConstraints?.ca !== true) return "issued another one and is no CA (basicConstraints)";
  const maySign = keyUsage === null || (keyUsage & KEY_USAGE.keyCertSign) !== 0;
  return maySign ? null : "issued another one and its key may not (no keyCertSign)";
}

function unknownExtension({ unknownCritical }: ParsedCertificate): string | null {
  const [oid] = unknownCritical;
  return oid === undefined ? null : `has the critical extension ${oid}, which is not understood`;
}

function weakKeyOf(certificate: ParsedCertificate): string | null {
  const weak = weakKey(certificate);
  return weak === null ? null : `has ${weak}`;
}

/** OpenSSL takes the last second for past. */
function expired({ notAfter }: ParsedCertificate, now: number): string | null {
  return now >= notAfter ? `expired at ${new Date(notAfter).toISOString()}` : null;
}

function notYetValid({ notBefore }: ParsedCertificate, now: number): string | null {
  return now < notBefore ? `is not valid before ${new Date(notBefore).toISOString()}` : null;
}

/** Self-issued intermediates do not count (RFC 5280 §6.1.4 l). An anchor's own constraint does. */
function tooLong(path: Path): CertificateFinding | null {
  let below = 0;
  for (const certificate of path.slice(1)) {
    const allowed = certificate.basicConstraints?.pathLength ?? null;
    if (allowed !== null && below > allowed) {
      const says = `allows ${allowed} CAs below it, and there are ${below}`;
      return { fault: "path_too_long", certificate, says };
    }
    if (!isSelfIssued(certificate)) below += 1;
  }
  return null;
}

function tooDeep(path: Path, maxDepth: number | undefined): CertificateFinding | null {
  const intermediates = Math.max(0, path.length - 2);
  if (maxDepth === undefined || intermediates <= maxDepth) return null;
  const says = `has more intermediates above it (${intermediates}) than are allowed (${maxDepth})`;
  return { fault: "chain_too_deep", certificate: path[0] as ParsedCertificate, says };
}

/**
 * Extended key usage holds for whoever has it, CAs and anchors too: as OpenSSL, BoringSSL and Go do, a CA that has one can
 * only issue for it. `anyExtendedKeyUsage` alone is not enough, for it is not for OpenSSL and BoringSSL
 * (RFC 5280 §4.2.1.12 leaves it to us).
 */
function wrongPurpose(
  { extendedKeyUsage, keyUsage, netscapeType }: ParsedCertificate,
  usage: "client" | "server",
  isLeaf: boolean,
): string | null {
  if (extendedKeyUsage !== null && !extendedKeyUsage.includes(PURPOSES[usage]))
    return `is not meant for ${usage}s (extendedKeyUsage)`;
  if (!isLeaf) return null;
  // TLS 1.3 and every suite that is offered here sign (RFC 8446 §4.4.2.2).
  if (keyUsage !== null && (keyUsage & KEY_USAGE.digitalSignature) === 0)
    return "has a key that may not sign handshakes (keyUsage without digitalSignature)";
  const isTyped = netscapeType === null || (netscapeType & NETSCAPE_TYPE[usage]) !== 0;
  return isTyped ? null : `is not meant for ${usage}s (Netscape certificate type)`;
}

const PURPOSES = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;

function identity(path: Path, expected: PathExpectation): CertificateFinding | null {
  const checked = checkIdentity(path, expected);
  return checked.ok ? null : { ...checked, certificate: path[0] as ParsedCertificate };
}

function wrongPin(path: Path, pins: readonly string[] | undefined): CertificateFinding | null {
  const leaf = path[0] as ParsedCertificate;
  if (pins === undefined) return null;
  const pin = pinOf(leaf);
  if (pins.includes(pin)) return null;
  return {
    fault: "pin_mismatch",
    certificate: leaf,
    says: `has a key whose SHA-256 is ${pin}, which is not pinned`,
  };
}
