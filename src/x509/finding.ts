import { distinguishedName } from "./certificate.ts";
import type { CertificateFacts } from "./facts.ts";
import type { CertificateFault } from "./faults.ts";
import { printGeneralName } from "./general-name.ts";
import type { ParsedCertificate } from "./parsed-certificate.ts";

/** What is wrong with one certificate of a path. */
export interface CertificateFinding {
  readonly fault: CertificateFault;
  readonly certificate: ParsedCertificate;
  /** Goes on where the certificate's name ends: `expired at …`. */
  readonly says: string;
}

/** Subject and serial, short enough for a log line whatever the peer put there. */
export function described({ certificate, alternativeNames, serial }: ParsedCertificate): string {
  const subject = distinguishedName(certificate.subject, ", ");
  const name = subject === "" ? alternativeNames.slice(0, 1).map(printGeneralName).join() : subject;
  return `${shortened(name === "" ? "a certificate without a name" : name)} (serial ${shortened(serial, 64)})`;
}

/** The same with its SHA-256, for findings about certificates of our own. */
export function identified({ subject, dnsNames, uris, serial, sha256 }: CertificateFacts): string {
  const name = subject === "" ? (dnsNames[0] ?? uris[0] ?? "a certificate without a name") : subject;
  return `${shortened(name)} (serial ${shortened(serial, 64)}, SHA-256 ${sha256})`;
}

/** Without what ends a line or a terminal's patience. */
export function shortened(text: string, length = 200): string {
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
  return plain.length <= length ? plain : `${plain.slice(0, length)}…`;
}
