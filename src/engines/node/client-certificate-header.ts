import type { X509Certificate } from "node:crypto";
import type { ClientCertificateHeader } from "../../model/http.ts";
import { distinguishedName, fingerprint, subjectAlternativeNames } from "../../x509/certificate.ts";

/**
 * The value of X-Forwarded-Client-Cert for a request (Envoy's grammar and rules): null removes the header. `sent` is what
 * the client sent, `element` what is said of its own certificate, null where none was verified.
 */
export function clientCertificateHeader(
  mode: ClientCertificateHeader["mode"],
  sent: string | null,
  element: (() => string) | null,
): string | null {
  if (mode === "always-forward-only") return sent;
  // Nobody vouches for a header that comes without a verified certificate.
  if (element === null) return null;
  if (mode === "forward-only") return sent;
  if (mode === "sanitize-set") return element();
  return sent === null || sent === "" ? element() : `${sent},${element()}`;
}

/** One element: `By` (our own URI), `Hash`, and the details asked for, in Envoy's order. */
export function certificateElement(
  certificate: X509Certificate,
  own: X509Certificate | null,
  details: ClientCertificateHeader["details"],
): string {
  const names = subjectAlternativeNames(certificate);
  const parts =
    own === null
      ? []
      : subjectAlternativeNames(own)
          .uris.slice(0, 1)
          .map((uri) => `By=${bare(uri)}`);
  parts.push(`Hash=${fingerprint(certificate)}`);
  for (const detail of details) {
    if (detail === "cert") parts.push(`Cert=${quoted(encodeURIComponent(certificate.toString()))}`);
    else if (detail === "chain") parts.push(`Chain=${quoted(encodeURIComponent(chainOf(certificate)))}`);
    else if (detail === "subject")
      parts.push(`Subject="${printable(distinguishedName(certificate.subject))}"`);
    else if (detail === "uri") parts.push(...names.uris.map((uri) => `URI=${bare(uri)}`));
    else parts.push(...names.dnsNames.map((name) => `DNS=${bare(name)}`));
  }
  return parts.join(";");
}

/** PEM, leaf first, without the root. A resumed session has the leaf alone. */
function chainOf(leaf: X509Certificate): string {
  let text = leaf.toString();
  let at = leaf.issuerCertificate;
  for (let depth = 0; at !== undefined && at.subject !== at.issuer && depth < MAX_CHAIN; depth++) {
    text += at.toString();
    at = at.issuerCertificate;
  }
  return text;
}

const MAX_CHAIN = 10;

/** Values with the grammar's own characters are quoted; quotes in them are escaped. */
function bare(value: string): string {
  return /[,;="]/.test(value) ? quoted(value) : printable(value);
}

function quoted(value: string): string {
  return `"${printable(value).replace(/["\\]/g, "\\$&")}"`;
}

/** Goes into a head: what is no visible ASCII is percent-encoded. */
function printable(value: string): string {
  return value.replace(/[^ -~]/g, (character) => encodeURIComponent(character));
}
