/**
 * Certificates in DER, one after the other, as PEM; null where the bytes are anything else. Only the outermost length of
 * each is read here (X.690 §8.1.3): whoever uses them parses them.
 */
export function certificatesOf(der: Uint8Array): string[] | null {
  const found: string[] = [];
  let at = 0;
  while (at < der.length) {
    const end = endOfSequence(der, at);
    if (end === null) return null;
    found.push(pemOf("CERTIFICATE", der.subarray(at, end)));
    at = end;
  }
  return found;
}

/** RFC 7468 §2. */
export function pemOf(label: string, der: Uint8Array): string {
  const body = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("base64");
  return `-----BEGIN ${label}-----\n${body.replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`;
}

const SEQUENCE = 0x30;
/** Three bytes of length are 16 MiB; no certificate needs more. */
const LONGEST_LENGTH = 3;

/** Where the SEQUENCE that begins at `at` ends. */
function endOfSequence(der: Uint8Array, at: number): number | null {
  if (der[at] !== SEQUENCE) return null;
  const first = der[at + 1];
  if (first === undefined) return null;
  let length = first;
  let content = at + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > LONGEST_LENGTH) return null;
    length = 0;
    for (const byte of der.subarray(content, content + count)) length = length * 256 + byte;
    content += count;
  }
  const end = content + length;
  return end <= der.length ? end : null;
}
