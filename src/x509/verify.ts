import type { X509Certificate } from "node:crypto";
import { fingerprint, parseCertificate, subjectAlternativeNames } from "./certificate.ts";
import type { CertificateFault } from "./faults.ts";
import { verifyPeerName } from "./names.ts";
import { checkPath } from "./path.ts";
import { spiffeIdOf, trustDomainOf } from "./spiffe.ts";

/** What is asked of a peer's certificate. Names and rules mean what model/tls.ts says. */
export interface PeerExpectation {
  /** The peer's side of TLS. */
  readonly usage: "client" | "server";
  readonly anchors: readonly X509Certificate[];
  /** A DNS name or IP address that it must have; absent with `identities`, and for clients. */
  readonly name?: string;
  /** Of our own SPIFFE ID: a peer that has only a SPIFFE ID may be of it instead of having `name`. */
  readonly trustDomain?: string;
  readonly identities?: {
    readonly dnsNames?: readonly string[];
    readonly spiffeIds?: readonly string[];
    readonly trustDomains?: readonly string[];
  };
  readonly spkiSha256?: readonly string[];
  readonly maxDepth?: number;
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

/** Checks a peer's certificate with the intermediates it came with, as of `now` (RFC 5280 §6, RFC 9525). */
export function verifyPeer(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  expected: PeerExpectation,
  now: number,
): PeerVerdict {
  const checked = checkPath(leaf, intermediates, expected.anchors, expected.usage, now);
  if (!checked.ok) {
    return {
      ok: false,
      fault: "issuer_unknown",
      message: `${leaf.subject}: ${checked.reason}`,
      sha256: fingerprint(leaf),
    };
  }
  const identity = identityOf(leaf, expected);
  if (identity === null) {
    const { dnsNames, ipAddresses, uris } = subjectAlternativeNames(leaf);
    const names = [...dnsNames, ...ipAddresses, ...uris].join(", ");
    return {
      ok: false,
      fault: "name_mismatch",
      message: `${leaf.subject} names ${names}`,
      sha256: fingerprint(leaf),
    };
  }
  const notAfter = Math.min(...checked.path.map((certificate) => certificate.validToDate.getTime()));
  return { ok: true, identity, path: checked.path, notAfter };
}

/** Reads what a bundle holds, for `PeerExpectation.anchors`. */
export function readAnchors(pem: readonly string[]): X509Certificate[] {
  return pem.flatMap((text) => parseCertificate(text) ?? []);
}

function identityOf(leaf: X509Certificate, { name, trustDomain }: PeerExpectation): string | null {
  if (name === undefined) return leaf.subject ?? "";
  const matched = verifyPeerName(leaf, name);
  if (matched.ok) return name;
  const id = spiffeIdOf(subjectAlternativeNames(leaf).uris);
  return id !== undefined && trustDomain !== undefined && trustDomainOf(id) === trustDomain ? id : null;
}
