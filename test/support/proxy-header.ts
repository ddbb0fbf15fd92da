import { isIP } from "node:net";

/** A PROXY header of version 1, as haproxy writes it. */
export function proxyLine(
  source: string,
  destination = isIP(source) === 6 ? "2001:db8::2" : "192.0.2.2",
): string {
  return `PROXY TCP${isIP(source)} ${source} ${destination} 56324 443\r\n`;
}

export const PROXY_SIGNATURE: Buffer = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** A PROXY header of version 2: any command and family, with these bytes behind its first 16. */
export function binaryProxyHeader(command: number, family: number, ...parts: readonly Uint8Array[]): Buffer {
  const rest = Buffer.concat(parts);
  const start = Buffer.from([command, family, rest.length >> 8, rest.length & 0xff]);
  return Buffer.concat([PROXY_SIGNATURE, start, rest]);
}

export const TCP4 = 0x11;
export const TCP6 = 0x21;
export const PROXY = 0x21;
export const LOCAL = 0x20;

/** Both addresses and ports of a connection over IPv4. */
export function ipv4Addresses(source: string): Buffer {
  return Buffer.from([...source.split(".").map(Number), 192, 0, 2, 2, 0xdc, 0x04, 0x01, 0xbb]);
}

/** One attachment (TLV). */
export function attachment(type: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 0xff]), value]);
}
