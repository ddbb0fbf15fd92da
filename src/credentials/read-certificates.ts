import { hash, type X509Certificate } from "node:crypto";
import { parseCertificate } from "../x509/certificate.ts";
import { certificateFacts } from "../x509/facts.ts";
import { parsePem } from "../x509/pem.ts";
import { type Admitted, reject } from "./admission.ts";

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
