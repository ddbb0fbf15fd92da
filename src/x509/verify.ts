import type { X509Certificate } from "node:crypto";
import { whyBroken } from "./broken-chain.ts";
import { fingerprint, oneLineName, parseCertificate } from "./certificate.ts";
import type { CertificateFault } from "./faults.ts";
import { type CertificateFinding, described, shortened } from "./finding.ts";
import { checkIdentity } from "./identity.ts";
import { type ParsedCertificate, parsed } from "./parsed-certificate.ts";
import { buildPaths, type Path } from "./path-building.ts";
import { checkPath, findingsOf, type PathExpectation, type PathFinding } from "./path-checks.ts";

/** What is asked of a peer's certificate. Names and rules mean what model/tls.ts says. */
export interface PeerExpectation extends PathExpectation {
  readonly anchors: readonly X509Certificate[];
  /** CAs met elsewhere, e.g. in our own chain. They vouch for nothing, and tell a missing intermediate from an unknown CA. */
  readonly known?: readonly X509Certificate[];
}

export type PeerVerdict =
  | {
      readonly ok: true;
      /** The name, address or SPIFFE ID that matched; else the subject or first SAN. */
      readonly identity: string;
      /** Leaf first, the anchor last. */
      readonly path: readonly X509Certificate[];
      /** Milliseconds since the epoch: the earliest end on the path. */
      readonly notAfter: number;
    }
  | {
      readonly ok: false;
      readonly fault: CertificateFault;
      /** One sentence for the operator, naming the certificate (subject, serial) that is at fault. */
      readonly message: string;
      /** SHA-256 of the certificate at fault. */
      readonly sha256: string;
    };

/**
 * Checks a peer's certificate with the intermediates it came with, as of `now` (RFC 5280 §6, RFC 9525); docs/verification.md
 * has the list. Every path to an anchor is tried, and one that is sound is enough; else the one that gets furthest says
 * what is wrong. Never throws, and what it costs has a bound, whatever the peer sent.
 */
export function verifyPeer(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  expected: PeerExpectation,
  now: number,
): PeerVerdict {
  const own = parsed(leaf);
  if (typeof own === "string") return malformed(leaf, own);
  const sent = intermediates.slice(0, MAX_INTERMEDIATES);
  const pool = { anchors: readable(expected.anchors), intermediates: readable(sent) };
  const { complete, deadEnd } = buildPaths(own, pool);
  let furthest: PathFinding | null = null;
  for (const path of complete) {
    const finding = checkPath(path, expected, now);
    if (finding === null) return accepted(path, expected);
    if (furthest === null || finding.passed > furthest.passed) furthest = finding;
  }
  if (furthest !== null) return refused(furthest);
  // It may have been the link that is missing.
  for (const intermediate of sent) {
    const reason = parsed(intermediate);
    if (typeof reason === "string") return malformed(intermediate, reason);
  }
  return refused(whyBroken(deadEnd, pool, readable(expected.known ?? [])));
}

/**
 * Everything that is wrong with the path that `verifyPeer` speaks of, its own finding first: for who explains rather than
 * decides. Where no path ends at an anchor, the longest is looked at as if its last certificate were one.
 */
export function everyFault(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  expected: PeerExpectation,
  now: number,
): readonly Refusal[] {
  const verdict = verifyPeer(leaf, intermediates, expected, now);
  const own = parsed(leaf);
  if (verdict.ok || typeof own === "string") return verdict.ok ? [] : [verdict];
  const { complete, deadEnd } = buildPaths(own, {
    anchors: readable(expected.anchors),
    intermediates: readable(intermediates.slice(0, MAX_INTERMEDIATES)),
  });
  const isSame = ({ fault, sha256 }: Refusal): boolean =>
    fault === verdict.fault && sha256 === verdict.sha256;
  const all = (complete.length === 0 ? [deadEnd] : complete).map((path) =>
    findingsOf(path, expected, now).map(refused),
  );
  const meant = all.find((findings) => findings[0] !== undefined && isSame(findings[0])) ?? all[0] ?? [];
  return [verdict, ...meant.filter((finding) => !isSame(finding))];
}

/** Reads what a bundle holds, for `PeerExpectation.anchors`. */
export function readAnchors(pem: readonly string[]): X509Certificate[] {
  return pem.flatMap((text) => parseCertificate(text) ?? []);
}

/** Whole bundles are sent at times, and with a session that is resumed comes what is known of others. */
const MAX_INTERMEDIATES = 200;

function readable(certificates: readonly X509Certificate[]): ParsedCertificate[] {
  return certificates.map(parsed).filter((certificate) => typeof certificate !== "string");
}

function accepted(path: Path, expected: PeerExpectation): PeerVerdict {
  const checked = checkIdentity(path, expected);
  return {
    ok: true,
    identity: checked.ok ? checked.identity : "",
    path: path.map(({ certificate }) => certificate),
    notAfter: Math.min(...path.map(({ notAfter }) => notAfter)),
  };
}

type Refusal = Extract<PeerVerdict, { ok: false }>;

function refused({ fault, certificate, says }: CertificateFinding): Refusal {
  return { ok: false, fault, message: `${described(certificate)} ${says}`, sha256: certificate.sha256 };
}

function malformed(certificate: X509Certificate, reason: string): PeerVerdict {
  const message = `${shortened(oneLineName(certificate.subject))} cannot be read: ${reason}`;
  return { ok: false, fault: "certificate_malformed", message, sha256: fingerprint(certificate) };
}
