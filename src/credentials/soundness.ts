import type { X509Certificate } from "node:crypto";
import type { KnownCode } from "../diagnostics/catalogue.ts";
import { type CertificateFacts, certificateFacts } from "../x509/facts.ts";
import type { CertificateFault } from "../x509/faults.ts";
import { identified } from "../x509/finding.ts";
import { type ParsedCertificate, parsed } from "../x509/parsed-certificate.ts";
import { checkPath, type PathFinding } from "../x509/path-checks.ts";
import { verifyPeer } from "../x509/verify.ts";
import type { Finding } from "./admission.ts";

/** What is known beside a chain when it is judged. */
export interface Circumstances {
  /** The CAs that came with it; empty: none did. */
  readonly anchors: readonly X509Certificate[];
  readonly now: number;
}

export interface Soundness {
  /** What every peer would refuse, whomever it trusts; null: nothing. */
  readonly fault: Finding | null;
  /** What some peers may refuse: no reason to serve nothing, and one not to replace what lacks it. */
  readonly flaws: readonly Finding[];
}

/** Judges a chain, leaf first, each issued by the next, as a peer that verifies it would. Dates are the store's to judge. */
export function soundnessOf(chain: readonly X509Certificate[], circumstances: Circumstances): Soundness {
  const [leaf] = chain as readonly [X509Certificate];
  const facts = certificateFacts(leaf);
  const purpose = purposeProblem(facts);
  if (purpose !== null) return { fault: { code: "certificate-purpose", message: purpose }, flaws: [] };
  const read = chain.map(parsed);
  const unread = read.findIndex((certificate) => typeof certificate === "string");
  if (unread !== -1) {
    const which = identified(certificateFacts(chain[unread] as X509Certificate));
    const message = `${which} is not as RFC 5280 has it, and some peers refuse it: ${read[unread]}`;
    return { fault: null, flaws: [{ code: "certificate-malformed", message }, ...leafFlaws(facts)] };
  }
  const path = read as readonly ParsedCertificate[];
  const at = momentWithin(path, circumstances.now);
  const { usage, finding } = bestUse(path, at);
  const flaws = leafFlaws(facts);
  if (finding !== null && !isDate(finding.fault)) {
    const which = identified(certificateFacts(finding.certificate.certificate));
    const said: Finding = {
      code: CODES[finding.fault] ?? "certificate-chain-invalid",
      message: `${which} ${finding.says}`,
    };
    // Of two TLS libraries one refuses it, or refuses it for some cipher suites.
    const isOfTheLeaf = finding.fault === "purpose_wrong" && finding.certificate === path[0];
    if (!isOfTheLeaf) return { fault: said, flaws: [] };
    flaws.push(said);
  }
  const outside = outsideBundle(chain, facts, usage, circumstances.anchors, at);
  return { fault: null, flaws: outside === null ? flaws : [...flaws, outside] };
}

/** Codes of what is said of a certificate of the own chain; all others are about who issued what. */
const CODES: Readonly<Partial<Record<CertificateFault, KnownCode>>> = {
  key_weak: "certificate-key-weak",
  signature_weak: "certificate-signature-weak",
  purpose_wrong: "certificate-purpose",
};

type Use = "server" | "client";

/** The use that the chain is good for, else the one for which it gets furthest. */
function bestUse(
  path: readonly ParsedCertificate[],
  at: number,
): { usage: Use; finding: PathFinding | null } {
  const server = checkPath(path, { usage: "server" }, at);
  if (server === null) return { usage: "server", finding: null };
  const client = checkPath(path, { usage: "client" }, at);
  return client === null || client.passed > server.passed
    ? { usage: "client", finding: client }
    : { usage: "server", finding: server };
}

/** Now, or the moment of the chain's validity that is nearest to it. */
function momentWithin(path: readonly ParsedCertificate[], now: number): number {
  const from = Math.max(...path.map(({ notBefore }) => notBefore));
  const until = Math.min(...path.map(({ notAfter }) => notAfter)) - 1;
  return Math.min(Math.max(now, from), until);
}

function isDate(fault: CertificateFault): boolean {
  return fault === "certificate_expired" || fault === "certificate_not_yet_valid";
}

/** RFC 5280 §4.2.1.12. One of the two is enough: the name that a credential is offered under does not say which use it is for. */
function purposeProblem(facts: CertificateFacts): string | null {
  const { extendedKeyUsage } = facts;
  if (extendedKeyUsage === null || extendedKeyUsage.some((purpose) => TLS_PURPOSES.has(purpose))) return null;
  return `the extended key usage of ${identified(facts)} allows neither clientAuth nor serverAuth: ${extendedKeyUsage.join(", ")}`;
}

function leafFlaws(facts: CertificateFacts): Finding[] {
  const { isCa, dnsNames, ipAddresses, uris, extendedKeyUsage } = facts;
  const flaws: Finding[] = [];
  if (isCa)
    flaws.push({
      code: "certificate-is-ca",
      message: `${identified(facts)} is a CA's: whoever takes its key can issue certificates`,
    });
  const isServers = extendedKeyUsage === null || extendedKeyUsage.includes(SERVER_AUTH);
  if (isServers && dnsNames.length + ipAddresses.length + uris.length === 0)
    flaws.push({
      code: "certificate-without-san",
      message: `${identified(facts)} has no subjectAltName, so clients find no name in it (RFC 9525 §2)`,
    });
  return flaws;
}

function outsideBundle(
  [leaf, ...intermediates]: readonly X509Certificate[],
  facts: CertificateFacts,
  usage: Use,
  anchors: readonly X509Certificate[],
  at: number,
): Finding | null {
  if (leaf === undefined || anchors.length === 0) return null;
  const verdict = verifyPeer(leaf, intermediates, { anchors, usage }, at);
  // The leaf's own uses are judged above.
  if (verdict.ok || (verdict.fault === "purpose_wrong" && verdict.sha256 === facts.sha256)) return null;
  return {
    code: "certificate-chain-broken",
    message: `the chain of ${identified(facts)} does not build to the CA given beside it: ${verdict.message}`,
    remedy:
      "Give the intermediates after the leaf, and the CA that issued it in the bundle. A CA that is for peers alone belongs by itself, in a Secret that `ca_secret` names.",
  };
}

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
/** serverAuth, clientAuth, anyExtendedKeyUsage. */
const TLS_PURPOSES = new Set([SERVER_AUTH, "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"]);
