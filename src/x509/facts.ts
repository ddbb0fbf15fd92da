import type { X509Certificate } from "node:crypto";
import { distinguishedName, fingerprint, keyType, subjectAlternativeNames } from "./certificate.ts";
import { KEY_USAGE } from "./extensions.ts";
import { parsed } from "./parsed-certificate.ts";

/** What may travel about a certificate: into logs, pages and diagnostics. Never key material. */
export interface CertificateFacts {
  /** RFC 4514 order as Node prints it, one line. */
  readonly subject: string;
  readonly issuer: string;
  /** Lower-case hex, no separators. */
  readonly serial: string;
  /** SHA-256 of the DER, lower-case hex, no separators. */
  readonly sha256: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** e.g. `EC P-256`, `RSA 2048`, `Ed25519`. */
  readonly keyType: string;
  readonly isCa: boolean;
  /** Object identifiers, e.g. `1.3.6.1.5.5.7.3.2`; null where the extension is absent, so that any use is allowed. */
  readonly extendedKeyUsage: readonly string[] | null;
  /** Names of RFC 5280 §4.2.1.3, e.g. `keyCertSign`; null where the extension is absent, so that any use is allowed. */
  readonly keyUsage: readonly string[] | null;
  /** How many CAs a CA allows below it; null: any number, or none that is a CA's to allow. */
  readonly pathLength: number | null;
}

/** Never throws: a key of a kind that OpenSSL does not know is `unknown`, a date that it cannot read is NaN. */
export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  const known = KNOWN.get(certificate);
  if (known !== undefined) return known;
  const facts = readFacts(certificate);
  KNOWN.set(certificate, facts);
  return facts;
}

const KNOWN = new WeakMap<X509Certificate, CertificateFacts>();

function readFacts(certificate: X509Certificate): CertificateFacts {
  return {
    subject: distinguishedName(certificate.subject, ", "),
    issuer: distinguishedName(certificate.issuer, ", "),
    serial: certificate.serialNumber.toLowerCase(),
    sha256: fingerprint(certificate),
    ...subjectAlternativeNames(certificate),
    notBefore: moment(certificate.validFrom, certificate.validFromDate),
    notAfter: moment(certificate.validTo, certificate.validToDate),
    keyType: publicKeyType(certificate),
    isCa: certificate.ca,
    // Node's name for the extended one. Its types say that it is always there.
    extendedKeyUsage: (certificate.keyUsage as string[] | undefined) ?? null,
    ...limits(certificate),
  };
}

/** Nothing of a certificate that cannot be taken apart. */
function limits(certificate: X509Certificate): Pick<CertificateFacts, "keyUsage" | "pathLength"> {
  const whole = parsed(certificate);
  if (typeof whole === "string") return { keyUsage: null, pathLength: null };
  const { keyUsage, basicConstraints } = whole;
  const names = Object.entries(KEY_USAGE).filter(([, bit]) => ((keyUsage ?? 0) & bit) !== 0);
  return {
    keyUsage: keyUsage === null ? null : names.map(([name]) => name),
    pathLength: basicConstraints?.pathLength ?? null,
  };
}

/** The text decides whether there is a date: where there is none, Node's Date may hold whatever was in memory. */
function moment(text: string, date: Date): number {
  return Number.isNaN(Date.parse(text)) ? Number.NaN : date.getTime();
}

function publicKeyType(certificate: X509Certificate): string {
  try {
    return keyType(certificate.publicKey);
  } catch {
    return "unknown";
  }
}
