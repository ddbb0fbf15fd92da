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
}
