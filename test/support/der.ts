/** Writes DER, right or wrong, for certificates and lists that no library would make. */
export type Der = Buffer;

export function der(tag: number, ...contents: readonly Buffer[]): Der {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

export const sequence = (...contents: readonly Buffer[]): Der => der(0x30, ...contents);
export const set = (...contents: readonly Buffer[]): Der => der(0x31, ...contents);
export const octets = (content: Buffer): Der => der(0x04, content);
export const bits = (content: Buffer, unused = 0): Der => der(0x03, Buffer.from([unused]), content);
export const yes: Der = Buffer.from([1, 1, 0xff]);
export const nothing: Der = Buffer.from([5, 0]);
export const utf8 = (text: string): Der => der(0x0c, Buffer.from(text));

/** `[n]` around values, or in place of a primitive one's tag. */
export const tagged = (n: number, ...contents: readonly Buffer[]): Der => der(0xa0 | n, ...contents);
export const implicit = (n: number, content: Buffer): Der => der(0x80 | n, content);

export function integer(value: bigint | number): Der {
  let hex = BigInt(value).toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  if (Number.parseInt(hex.slice(0, 2), 16) >= 0x80) hex = `00${hex}`;
  return der(0x02, Buffer.from(hex, "hex"));
}

export function oid(text: string): Der {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return der(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** A UTCTime until 2049, then a GeneralizedTime (RFC 5280 §4.1.2.5). */
export function time(date: Date): Der {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

export function pem(label: string, content: Der): string {
  const body = content.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

function base128(arc: number): number[] {
  const bytes = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
    bytes.unshift((rest % 128) | 0x80);
  return bytes;
}
