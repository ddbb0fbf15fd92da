import { readAll, TAG } from "./der-reader.ts";

/**
 * Certificates in DER, one after the other, as PEM; null where the bytes are anything else. Only the outermost length of
 * each is read here: whoever uses them parses them.
 */
export function certificatesOf(der: Uint8Array): string[] | null {
  try {
    const bytes = Buffer.from(der.buffer, der.byteOffset, der.byteLength);
    return readAll(bytes, TAG.sequence).map(({ encoding }) => pemOf("CERTIFICATE", encoding));
  } catch {
    return null;
  }
}

/** RFC 7468 §2. */
export function pemOf(label: string, der: Uint8Array): string {
  const body = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("base64");
  return `-----BEGIN ${label}-----\n${body.replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`;
}
