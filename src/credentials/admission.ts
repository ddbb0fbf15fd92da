import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { KnownCode } from "../diagnostics/catalogue.ts";
import type { SourcePosition } from "../diagnostics/diagnostic.ts";
import { refusedByBoringSsl } from "../x509/boringssl.ts";
import { certificateFacts, keyType, parseCertificate } from "../x509/certificate.ts";
import { orderChain } from "../x509/chain.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import { isSelfSigned } from "../x509/issuer.ts";
import { parsed } from "../x509/parsed-certificate.ts";
import { parsePem } from "../x509/pem.ts";
import { spiffeIdOf } from "../x509/spiffe.ts";
import type { CredentialMaterial, MaterialPart } from "./credential.ts";

/** A finding about a credential: the code and one sentence that never quotes key material. */
export interface Finding {
  readonly code: KnownCode;
  readonly message: string;
  /** The place, where it is more exact than that of the credential's origin. */
  readonly source?: SourcePosition;
}

export type Admitted<T> =
  | { readonly ok: true; readonly value: T; readonly warnings: readonly Finding[] }
  | { readonly ok: false; readonly finding: Finding };

export interface AdmittedIdentity {
  readonly certificateChain: string;
  readonly privateKey: string;
  readonly facts: readonly CertificateFacts[];
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spiffeId: string | undefined;
  readonly refusedByEnvoy?: string;
}

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

/** Checks a key and chain as the peer would, before anybody is shown them (design §4.5). Dates are the store's to judge. */
export function admitIdentity(certificateChain: string, privateKey: string): Admitted<AdmittedIdentity> {
  const certificates = readCertificates(certificateChain, "the certificate chain");
  if (!certificates.ok) return certificates;
  const key = readPrivateKey(privateKey);
  if (!key.ok) return key;
  const ordered = orderChain(certificates.value, (certificate) => belongsTo(certificate, key.value.object));
  if (ordered === null) {
    const { subject } = certificateFacts(certificates.value[0] as X509Certificate);
    return reject(
      "private-key-mismatch",
      `the private key belongs to no certificate of the chain (first: ${subject})`,
    );
  }
  const misissued = purposeProblem(certificateFacts(ordered.chain[0] as X509Certificate));
  if (misissued !== null) return reject("certificate-purpose", misissued);
  const weak = weakness(key.value.object);
  if (weak !== null) return reject("certificate-key-weak", weak);
  const chain = ordered.chain.slice(0, ordered.chain.length - ordered.unused);
  const text = chain.map((certificate) => certificate.toString()).join("");
  const refused = refusal(text, key.value.text);
  if (refused !== null) return refused;
  const facts = chain.map(certificateFacts);
  const refusedByEnvoy = refusedByBoringSsl(key.value.object);
  const leaf = facts[0] as CertificateFacts;
  const warnings: Finding[] = [];
  if (ordered.reordered) {
    warnings.push({
      code: "certificate-chain-reordered",
      message: `the chain of ${leaf.subject} was not in order`,
    });
  }
  if (ordered.unused > 0) {
    warnings.push({
      code: "certificate-chain-broken",
      message: `${ordered.unused} certificate(s) are no part of the chain of ${leaf.subject} and are not sent`,
    });
  }
  return {
    ok: true,
    warnings,
    value: {
      certificateChain: text,
      privateKey: key.value.text,
      facts,
      notBefore: Math.max(...facts.map(({ notBefore }) => notBefore)),
      notAfter: Math.min(...facts.map(({ notAfter }) => notAfter)),
      spiffeId: spiffeIdOf(leaf.uris),
      ...(refusedByEnvoy === null ? {} : { refusedByEnvoy }),
    },
  };
}

export interface AdmittedTrust {
  readonly anchors: readonly string[];
  readonly facts: readonly CertificateFacts[];
  readonly domains?: Readonly<Record<string, readonly string[]>>;
}

/** Checks a set of trust anchors. A self-signed certificate may vouch for itself; any other must be a CA (RFC 5280 §6.1.4 k). */
export function admitTrust(pem: string): Admitted<AdmittedTrust> {
  const certificates = readCertificates(pem, "the CA bundle");
  if (!certificates.ok) {
    return certificates.finding.code === "secret-key-missing"
      ? reject("trust-empty", "the CA bundle holds no certificate")
      : certificates;
  }
  const anchors = new Map<string, X509Certificate>();
  const warnings: Finding[] = [];
  for (const certificate of certificates.value) {
    if (!certificate.ca) {
      const { subject } = certificateFacts(certificate);
      const whole = parsed(certificate);
      if (typeof whole === "string" || !isSelfSigned(whole)) {
        return reject(
          "trust-not-ca",
          `${subject} is neither a CA nor self-signed, so nothing can chain to it`,
        );
      }
      // Version 1 has no mark, and such a root is taken for a CA.
      if (whole.version !== 1) {
        warnings.push({
          code: "trust-not-ca",
          message: `${subject} is self-signed and not marked as a CA, so it vouches for itself alone`,
        });
      }
    }
    anchors.set(certificate.fingerprint256, certificate);
  }
  return {
    ok: true,
    warnings,
    value: {
      anchors: [...anchors.values()].map((certificate) => certificate.toString()),
      facts: [...anchors.values()].map(certificateFacts),
    },
  };
}

/** The same for anchors of several trust domains: those of each must be good by themselves. */
export function admitTrustDomains(pems: Readonly<Record<string, string>>): Admitted<AdmittedTrust> {
  const union = admitTrust(Object.values(pems).join("\n"));
  if (!union.ok) return union;
  const domains: Record<string, readonly string[]> = {};
  for (const [domain, pem] of Object.entries(pems)) {
    const own = admitTrust(pem);
    if (!own.ok) return own;
    domains[domain] = own.value.anchors;
  }
  return { ...union, value: { ...union.value, domains } };
}

function readCertificates(pem: string, what: string): Admitted<readonly X509Certificate[]> {
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

/** The text is the one block that was checked, without what stood around it. */
function readPrivateKey(pem: string): Admitted<{ readonly object: KeyObject; readonly text: string }> {
  const parsed = parsePem(pem);
  if (!parsed.ok) return reject("private-key-invalid", `the private key is not PEM: ${parsed.reason}`);
  const keys = parsed.blocks.filter(({ label }) => label.endsWith("PRIVATE KEY"));
  const [key] = keys;
  if (key === undefined) return reject("private-key-invalid", "the private key holds no PRIVATE KEY block");
  if (keys.length > 1) return reject("private-key-invalid", "there are several private keys");
  if (key.encrypted || key.label === "ENCRYPTED PRIVATE KEY") {
    return reject(
      "private-key-encrypted",
      "the private key is encrypted, and there is nobody to ask for its passphrase",
    );
  }
  try {
    const object = createPrivateKey(key.text);
    const type = object.asymmetricKeyType ?? "";
    if (!["rsa", "rsa-pss", "ec", "ed25519"].includes(type)) {
      return reject("private-key-invalid", `keys of type ${type} are not supported`);
    }
    return { ok: true, value: { object, text: key.text }, warnings: [] };
  } catch {
    return reject("private-key-invalid", `the ${key.label} block is no key that OpenSSL can read`);
  }
}

function weakness(key: KeyObject): string | null {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  const isRsa = key.asymmetricKeyType === "rsa" || key.asymmetricKeyType === "rsa-pss";
  // NIST SP 800-131A; OpenSSL's security level 2 and Envoy's BoringSSL refuse it too.
  const weak = isRsa
    ? (modulusLength ?? 0) < 2048
    : namedCurve !== undefined && Number(/\d{3}/.exec(namedCurve)?.[0] ?? 0) < 256;
  return weak ? `the key is ${keyType(key)}` : null;
}

/** RFC 5280 §4.2.1.12. One of the two is enough: the name that a credential is offered under does not say which use it is for. */
function purposeProblem({ subject, extendedKeyUsage }: CertificateFacts): string | null {
  if (extendedKeyUsage === null || extendedKeyUsage.some((purpose) => TLS_PURPOSES.has(purpose))) return null;
  return `the extended key usage of ${subject} allows neither clientAuth nor serverAuth: ${extendedKeyUsage.join(", ")}`;
}

/** serverAuth, clientAuth, anyExtendedKeyUsage. */
const TLS_PURPOSES = new Set(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"]);

function belongsTo(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    // A public key of a kind that this OpenSSL does not know.
    return false;
  }
}

/** Loads the pair as an engine will: OpenSSL has rules of its own about keys. */
function refusal(certificateChain: string, privateKey: string): { ok: false; finding: Finding } | null {
  try {
    createSecureContext({ cert: certificateChain, key: privateKey });
    return null;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    return /WEAK|TOO_SMALL/.test(code)
      ? reject("certificate-key-weak", `OpenSSL refuses the certificate: ${code}`)
      : reject("pem-invalid", `OpenSSL refuses the certificate and key: ${code}`);
  }
}

function reject(code: KnownCode, message: string): { ok: false; finding: Finding } {
  return { ok: false, finding: { code, message } };
}
