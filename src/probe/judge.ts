import type { X509Certificate } from "node:crypto";
import { oneLineName, parseCertificate } from "../x509/certificate.ts";
import { type CertificateFacts, certificateFacts } from "../x509/facts.ts";
import type { CertificateFault } from "../x509/faults.ts";
import { everyFault, type PeerExpectation, verifyPeer } from "../x509/verify.ts";

/** One of the things that a certificate is checked for, and how it went. */
export interface Check {
  readonly check: string;
  /** `not-asked`: nothing of it is written. */
  readonly status: "ok" | "failed" | "not-asked";
  readonly fault: CertificateFault | null;
  readonly says: string;
}

export interface Judgement {
  readonly certificates: readonly CertificateFacts[];
  readonly checks: readonly Check[];
  /** The first is the one that decides. */
  readonly faults: readonly { readonly fault: CertificateFault; readonly says: string }[];
  /** Whom the peer is taken for; null: it is not good. */
  readonly identity: string | null;
}

/**
 * Judges what a peer presented by the code that judges live peers (x509/verify.ts), check by check. `asIfTrusted`: nothing
 * is to be verified, and the checks say how it would be if the top of the peer's own chain were trusted.
 */
export function judgePeer(
  chain: readonly Buffer[],
  expected: PeerExpectation,
  now: number,
  asIfTrusted = false,
): Judgement {
  const read = chain.map((der) => parseCertificate(der));
  const certificates = read.filter((certificate) => certificate !== null);
  const [leaf, ...intermediates] = certificates;
  const facts = certificates.map(certificateFacts);
  if (leaf === undefined || read[0] === null) {
    const says =
      chain.length === 0 ? "no certificate was presented" : "its certificate cannot be read as X.509";
    const fault = chain.length === 0 ? "issuer_unknown" : "certificate_malformed";
    return { certificates: facts, checks: [], faults: [{ fault, says }], identity: null };
  }
  const asked = asIfTrusted ? { ...expected, anchors: [top(certificates)] } : expected;
  const verdict = verifyPeer(leaf, intermediates, asked, now);
  const faults = everyFault(leaf, intermediates, asked, now).map(({ fault, message }) => ({
    fault,
    says: message,
  }));
  return {
    certificates: facts,
    checks: CHECKS.map((check) => checked(check, asked, faults, facts, verdict, asIfTrusted)),
    faults,
    identity: verdict.ok ? verdict.identity : null,
  };
}

interface CheckRow {
  readonly check: string;
  readonly faults: readonly CertificateFault[];
  /** What it came to where nothing is wrong; null: nothing of it is asked. */
  readonly good: (context: {
    readonly expected: PeerExpectation;
    readonly facts: readonly CertificateFacts[];
    readonly path: readonly X509Certificate[];
    readonly identity: string;
    readonly until: number;
  }) => string | null;
}

/** In the order in which a person asks: who vouches for it, is it sound, is it for this, is it the one that is meant. */
const CHECKS: readonly CheckRow[] = [
  {
    check: "chain",
    faults: [
      "issuer_unknown",
      "intermediate_missing",
      "self_signed_leaf",
      "signature_invalid",
      "certificate_malformed",
      "critical_extension_unknown",
    ],
    good: ({ path }) =>
      path.length === 0
        ? "it leads to a CA that is trusted"
        : path.length === 1
          ? "it is trusted itself"
          : `${path.length - 1} ${path.length === 2 ? "step" : "steps"} up to ${oneLineName(path.at(-1)?.subject)}`,
  },
  {
    check: "dates",
    faults: ["certificate_expired", "certificate_not_yet_valid"],
    good: ({ until }) => `good until ${day(until)}`,
  },
  {
    check: "strength",
    faults: ["key_weak", "signature_weak"],
    good: ({ facts }) => `keys and signatures are strong enough (${facts[0]?.keyType ?? ""})`,
  },
  {
    check: "issuers",
    faults: ["issuer_not_ca", "path_too_long", "name_constraint"],
    good: () => "each issuer is a CA and may vouch for what is below it",
  },
  {
    check: "depth",
    faults: ["chain_too_deep"],
    good: ({ expected }) =>
      expected.maxDepth === undefined ? null : `at most ${expected.maxDepth} intermediates`,
  },
  {
    check: "purpose",
    faults: ["purpose_wrong"],
    good: ({ expected }) => `meant for ${expected.usage}s`,
  },
  {
    check: "name",
    faults: ["name_mismatch", "spiffe_id_mismatch"],
    good: ({ expected, identity }) =>
      expected.name === undefined && expected.identities === undefined ? null : `it is ${identity}`,
  },
  {
    check: "pin",
    faults: ["pin_mismatch"],
    good: ({ expected }) =>
      expected.spkiSha256 === undefined ? null : "its key is one of those that are pinned",
  },
  {
    check: "revocation",
    faults: ["revoked", "crl_missing", "crl_stale"],
    good: ({ expected }) => (expected.revocation === undefined ? null : "no list of its CAs has it"),
  },
];

function checked(
  { check, faults: own, good }: CheckRow,
  expected: PeerExpectation,
  faults: Judgement["faults"],
  facts: readonly CertificateFacts[],
  verdict: ReturnType<typeof verifyPeer>,
  asIfTrusted: boolean,
): Check {
  const found = faults.find(({ fault }) => own.includes(fault));
  if (found !== undefined) return { check, status: "failed", fault: found.fault, says: found.says };
  if (check === "chain" && asIfTrusted)
    return { check, status: "not-asked", fault: null, says: "no CA is given to check it against" };
  const says = good({
    expected,
    facts,
    path: verdict.ok ? verdict.path : [],
    identity: verdict.ok ? verdict.identity : (expected.name ?? "one of those that are asked for"),
    until: verdict.ok ? verdict.notAfter : Math.min(...facts.map(({ notAfter }) => notAfter)),
  });
  return says === null
    ? { check, status: "not-asked", fault: null, says: "nothing is asked" }
    : { check, status: "ok", fault: null, says };
}

/** The certificate that the chain leads up to, in whatever order it was sent. */
function top(certificates: readonly X509Certificate[]): X509Certificate {
  let current = certificates[0] as X509Certificate;
  for (let steps = 0; steps < certificates.length; steps++) {
    const below = current;
    const issuer = certificates.find((other) => other !== below && below.checkIssued(other));
    if (issuer === undefined || below.checkIssued(below)) break;
    current = issuer;
  }
  return current;
}

function day(moment: number): string {
  return Number.isNaN(moment) ? "an unreadable date" : new Date(moment).toISOString().slice(0, 10);
}
