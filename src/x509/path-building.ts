import { isNamedIssuer, isSelfSigned, isSignedBy, namesKeyOf } from "./issuer.ts";
import type { ParsedCertificate } from "./parsed-certificate.ts";

/** Leaf first, each issued by the next as far as names and key identifiers go, the last one an anchor. */
export type Path = readonly ParsedCertificate[];

export interface Pool {
  readonly anchors: readonly ParsedCertificate[];
  /** What the peer sent besides its leaf, in any order. */
  readonly intermediates: readonly ParsedCertificate[];
}

export interface BuiltPaths {
  readonly complete: readonly Path[];
  /** The longest way up that ends at no anchor. */
  readonly deadEnd: Path;
}

/**
 * All ways from the leaf to an anchor, those over few intermediates first. A link whose signature does not verify is one
 * only where the key identifier says that it should be: else another CA has the same name. The peer chooses what it
 * sends, so the ways, the steps and the signatures are counted.
 */
export function buildPaths(leaf: ParsedCertificate, { anchors, intermediates }: Pool): BuiltPaths {
  const trusted = new Set(anchors.map(({ sha256 }) => sha256));
  const sent = intermediates.filter(({ sha256 }) => !trusted.has(sha256));
  const issuers = [...anchors, ...sent];
  const complete: Path[] = [];
  let deadEnd: Path = [leaf];
  let signatures = 0;
  let steps = 0;
  const isLink = (certificate: ParsedCertificate, issuer: ParsedCertificate): boolean => {
    if (!isNamedIssuer(certificate, issuer)) return false;
    if (namesKeyOf(certificate, issuer)) return true;
    signatures += 1;
    return signatures <= MAX_SIGNATURES && isSignedBy(certificate, issuer);
  };
  const grow = (path: Path): void => {
    steps += 1;
    if (steps > MAX_STEPS || complete.length >= MAX_PATHS) return;
    const last = path.at(-1) as ParsedCertificate;
    if (trusted.has(last.sha256)) {
      complete.push(path);
      return;
    }
    if (path.length > deadEnd.length) deadEnd = path;
    // What vouches for itself is vouched for by nobody else (as OpenSSL has it).
    if (path.length > MAX_DEPTH || isSelfSigned(last)) return;
    for (const issuer of issuers)
      if (path.every(({ sha256 }) => sha256 !== issuer.sha256) && isLink(last, issuer))
        grow([...path, issuer]);
  };
  grow([leaf]);
  return { complete, deadEnd };
}

/** OpenSSL's own bound is 100; nobody has a chain of ten. */
const MAX_DEPTH = 10;
const MAX_PATHS = 16;
const MAX_STEPS = 1000;
/** Go's bound, for the same reason. */
const MAX_SIGNATURES = 100;
