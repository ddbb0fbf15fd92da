import { hash, type X509Certificate } from "node:crypto";
import type { KnownCode } from "../diagnostics/catalogue.ts";
import type { SourcePosition } from "../diagnostics/diagnostic.ts";
import { unreadableByBoringSsl } from "../x509/boringssl.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { type CertificateFacts, certificateFacts } from "../x509/facts.ts";
import { identified } from "../x509/finding.ts";
import { isSelfSigned } from "../x509/issuer.ts";
import { parsed } from "../x509/parsed-certificate.ts";
import { parsePem } from "../x509/pem.ts";
import type { CredentialMaterial, MaterialPart } from "./credential.ts";

/** A finding about a credential: the code and one sentence that never quotes key material. */
export interface Finding {
  readonly code: KnownCode;
  readonly message: string;
  /** The place, where it is more exact than that of the credential's origin. */
  readonly source?: SourcePosition;
  /** What to do, where that is more exact than what the code says. */
  readonly remedy?: string;
}

export type Admitted<T> =
  | {
      readonly ok: true;
      readonly value: T;
      readonly warnings: readonly Finding[];
      /** Warnings about what makes it worse than what lacks them, and so no replacement for that. */
      readonly flaws?: readonly Finding[];
    }
  | { readonly ok: false; readonly finding: Finding };

/** Refuses what could not be read, for that reason and not for being empty; null where all of these parts were read. */
export function refuseUnreadable(
  { unreadable }: CredentialMaterial,
  parts: readonly MaterialPart[],
): { ok: false; finding: Finding } | null {
  const found = parts.map((part) => unreadable?.[part]).find((reason) => reason !== undefined);
  return found === undefined
    ? null
    : { ok: false, finding: { code: "certificate-file-unreadable", ...found } };
}

export interface AdmittedTrust {
  readonly anchors: readonly string[];
  readonly facts: readonly CertificateFacts[];
  readonly refusedByEnvoy?: string;
  readonly domains?: Readonly<Record<string, readonly string[]>>;
}

/** Checks a set of trust anchors. A self-signed certificate may vouch for itself; any other must be a CA (RFC 5280 §6.1.4 k). */
export function admitTrust(pem: string, now = Date.now()): Admitted<AdmittedTrust> {
  const certificates = readCertificates(pem, "the CA bundle");
  if (!certificates.ok) {
    return certificates.finding.code === "secret-key-missing"
      ? reject("trust-empty", "the CA bundle holds no certificate")
      : certificates;
  }
  const judged = JUDGED.get(certificates.value) ?? judge(certificates.value);
  JUDGED.set(certificates.value, judged);
  if (!judged.ok) return judged;
  const latest = judged.value.facts.reduce((one, other) => (other.notAfter > one.notAfter ? other : one));
  return { ...judged, flaws: latest.notAfter < now ? [allExpired(latest)] : [] };
}

/** Whoever has the same bundle shares what is made of it. */
const JUDGED = new WeakMap<readonly X509Certificate[], Admitted<AdmittedTrust>>();

/** But for the dates. */
function judge(certificates: readonly X509Certificate[]): Admitted<AdmittedTrust> {
  const anchors = new Map<string, X509Certificate>();
  const warnings: Finding[] = [];
  for (const certificate of certificates) {
    if (!certificate.ca) {
      const which = identified(certificateFacts(certificate));
      const whole = parsed(certificate);
      if (typeof whole === "string" || !isSelfSigned(whole))
        return reject("trust-not-ca", `${which} is neither a CA nor self-signed, so nothing can chain to it`);
      // Version 1 has no mark, and such a root is taken for a CA.
      if (whole.version !== 1)
        warnings.push({
          code: "trust-not-ca",
          message: `${which} is self-signed and not marked as a CA, so it vouches for itself alone`,
        });
    }
    anchors.set(certificate.fingerprint256, certificate);
  }
  const kept = [...anchors.values()];
  const refusedByEnvoy = unreadableByBoringSsl(kept);
  const value = {
    anchors: kept.map((certificate) => certificate.toString()),
    facts: kept.map(certificateFacts),
    ...(refusedByEnvoy === null ? {} : { refusedByEnvoy }),
  };
  return { ok: true, warnings, value };
}

/** The same for anchors of several trust domains: those of each must be good by themselves. */
export function admitTrustDomains(
  pems: Readonly<Record<string, string>>,
  now = Date.now(),
): Admitted<AdmittedTrust> {
  const union = admitTrust(Object.values(pems).join("\n"), now);
  if (!union.ok) return union;
  const domains: Record<string, readonly string[]> = {};
  for (const [domain, pem] of Object.entries(pems)) {
    const own = admitTrust(pem);
    if (!own.ok) return own;
    domains[domain] = own.value.anchors;
  }
  return { ...union, value: { ...union.value, domains } };
}

function allExpired(latest: CertificateFacts): Finding {
  const end = new Date(latest.notAfter).toISOString();
  return {
    code: "certificate-expired",
    message: `the last CA of the bundle, ${identified(latest)}, expired at ${end}`,
    remedy: "Give the CA that follows it.",
  };
}

/**
 * The certificates of a chain or a bundle; `what` it is called where it is neither. Hundreds of Secrets have the same bundle, and of one
 * without a CA the chain is read as that too: what was read lately is known by its digest.
 */
export function readCertificates(pem: string, what: string): Admitted<readonly X509Certificate[]> {
  const digest = hash("sha256", pem);
  const known = LATELY.get(digest);
  if (known !== undefined) {
    // To the end: the first is the first to go.
    LATELY.delete(digest);
    LATELY.set(digest, known);
    return known;
  }
  const read = readAnew(pem, what);
  if (!read.ok || read.value.length > MOST_KEPT_CERTIFICATES) return read;
  LATELY.set(digest, read);
  kept += read.value.length;
  for (const [oldest, { value }] of LATELY) {
    if (LATELY.size <= MOST_KEPT && kept <= MOST_KEPT_CERTIFICATES) break;
    LATELY.delete(oldest);
    kept -= value.length;
  }
  return read;
}

type Certificates = Extract<Admitted<readonly X509Certificate[]>, { ok: true }>;

const LATELY = new Map<string, Certificates>();
const MOST_KEPT = 32;
/** In all of them together. */
const MOST_KEPT_CERTIFICATES = 512;
let kept = 0;

function readAnew(pem: string, what: string): Certificates | ReturnType<typeof reject> {
  const parsed = parsePem(pem);
  if (!parsed.ok) return reject("pem-invalid", `${what} is not PEM: ${parsed.reason}`);
  const certificates: X509Certificate[] = [];
  for (const { label, text } of parsed.blocks) {
    if (label !== "CERTIFICATE" && label !== "X509 CERTIFICATE" && label !== "TRUSTED CERTIFICATE") continue;
    const certificate = parseCertificate(
      text.replace(/X509 CERTIFICATE|TRUSTED CERTIFICATE/g, "CERTIFICATE"),
    );
    if (certificate === null)
      return reject("pem-invalid", `${what} has a block that is no X.509 certificate`);
    // OpenSSL reads dates only when it verifies, and takes one that it cannot read for an error.
    const { notBefore, notAfter } = certificateFacts(certificate);
    if (!Number.isFinite(notBefore) || !Number.isFinite(notAfter))
      return reject("pem-invalid", `${what} has a certificate whose dates cannot be read`);
    certificates.push(certificate);
  }
  if (certificates.length === 0) {
    return parsed.blocks.length === 0 && pem.trim() !== ""
      ? reject("pem-invalid", `${what} holds no PEM block`)
      : reject("secret-key-missing", `${what} holds no certificate`);
  }
  return { ok: true, value: certificates, warnings: [] };
}

export function reject(code: KnownCode, message: string): { ok: false; finding: Finding } {
  return { ok: false, finding: { code, message } };
}
