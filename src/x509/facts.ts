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
    isCa: certificate.ca,
    // Node's name for the extended one. Its types say that it is always there.
    extendedKeyUsage: (certificate.keyUsage as string[] | undefined) ?? null,
    ...partsOf(certificate),
  };
}

type Parts = Pick<CertificateFacts, "notBefore" | "notAfter" | "keyType" | "keyUsage" | "pathLength">;

/** Of a certificate that cannot be taken apart, what OpenSSL makes of it. */
function partsOf(certificate: X509Certificate): Parts {
  const whole = parsed(certificate);
  if (typeof whole === "string")
    return {
      notBefore: moment(certificate.validFrom, certificate.validFromDate),
      notAfter: moment(certificate.validTo, certificate.validToDate),
      keyType: publicKeyType(certificate),
      keyUsage: null,
      pathLength: null,
    };
  const { notBefore, notAfter, publicKey, keyUsage, basicConstraints } = whole;
  const names = Object.entries(KEY_USAGE).filter(([, bit]) => ((keyUsage ?? 0) & bit) !== 0);
  return {
    notBefore,
    notAfter,
    // To have OpenSSL read a key costs as much as all the rest.
    keyType:
      KEY_TYPES.get(`${publicKey.oid} ${publicKey.parameters?.toString("hex") ?? ""}`) ??
      publicKeyType(certificate),
    keyUsage: keyUsage === null ? null : names.map(([name]) => name),
    pathLength: basicConstraints?.pathLength ?? null,
  };
}

/** Those whose algorithm says it all, with its parameters in hex: P-256, P-384 and P-521 (RFC 5480 §2.1.1.1), Ed25519 (RFC 8410 §3). */
const KEY_TYPES: ReadonlyMap<string, string> = new Map([
  ["1.2.840.10045.2.1 06082a8648ce3d030107", "EC P-256"],
  ["1.2.840.10045.2.1 06052b81040022", "EC P-384"],
  ["1.2.840.10045.2.1 06052b81040023", "EC P-521"],
  ["1.3.101.112 ", "Ed25519"],
]);

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
