import type { X509Certificate } from "node:crypto";
import { unreadableByBoringSsl } from "../x509/boringssl.ts";
import { type CertificateFacts, certificateFacts } from "../x509/facts.ts";
import { identified } from "../x509/finding.ts";
import { isSelfSigned } from "../x509/issuer.ts";
import { parsed } from "../x509/parsed-certificate.ts";
import { type Admitted, type Finding, reject } from "./admission.ts";
import { readCertificates } from "./read-certificates.ts";

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
