/** What stops a reading; it never leaves this folder. */
export class MalformedDer extends Error {}

/** One value of DER (X.690 §10): its tag, and views of the bytes that were read. */
export interface DerValue {
  readonly tag: number;
  /** Tag, length and content. */
  readonly encoding: Buffer;
  readonly content: Buffer;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[n]` of an implicit or explicit tag: as it is, or of a constructed value. */
export function context(n: number, form: "primitive" | "constructed"): number {
  return (form === "primitive" ? 0x80 : 0xa0) | n;
}

/**
 * Reads values one after another: definite, shortest lengths only, one-byte tags only (X.509 has no others), never past
 * the end. Every method throws MalformedDer on anything else. Nothing is copied.
 */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Of the value that comes next; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  read(tag?: number): DerValue {
    const bytes = this.#bytes;
    const start = this.#at;
    const found = bytes[start];
    const first = bytes[start + 1];
    if (found === undefined || first === undefined) throw new MalformedDer("it ends early");
    if ((found & 0x1f) === 0x1f) throw new MalformedDer("a tag above 30");
    if (tag !== undefined && found !== tag)
      throw new MalformedDer(`tag ${found.toString(16)} where ${tag.toString(16)} is expected`);
    let from = start + 2;
    let length = first;
    if (first >= 0x80) {
      const octets = first & 0x7f;
      if (octets === 0 || octets > 4) throw new MalformedDer("an indefinite or overlong length");
      length = 0;
      for (let i = 0; i < octets; i++, from++) length = length * 256 + (bytes[from] ?? Number.NaN);
      const isShortest = length >= 0x80 && (octets === 1 || length >= 256 ** (octets - 1));
      if (!isShortest) throw new MalformedDer("a length that is not the shortest");
    }
    const end = from + length;
    if (!(end <= bytes.length)) throw new MalformedDer("a value longer than what holds it");
    this.#at = end;
    return new ReadValue(found, bytes, start, from, end);
  }

  optional(tag: number): DerValue | undefined {
    return this.nextTag === tag ? this.read(tag) : undefined;
  }

  /** Of a sequence, set or explicit tag that comes next. */
  enter(tag: number): DerReader {
    return new DerReader(this.read(tag).content);
  }

  end(): void {
    if (!this.isAtEnd) throw new MalformedDer("more than there should be");
  }
}

/** A view costs as much as reading a value, and most are asked for one of the two. */
class ReadValue implements DerValue {
  readonly tag: number;
  readonly content: Buffer;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(tag: number, bytes: Buffer, start: number, from: number, end: number) {
    this.tag = tag;
    this.content = bytes.subarray(from, end);
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get encoding(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }
}

/** The one value that the bytes are. */
export function readOne(bytes: Buffer, tag?: number): DerValue {
  const reader = new DerReader(bytes);
  const value = reader.read(tag);
  reader.end();
  return value;
}

/** All values of a sequence, its tag being settled. */
export function readAll(content: Buffer, tag?: number): DerValue[] {
  const reader = new DerReader(content);
  const values: DerValue[] = [];
  while (!reader.isAtEnd) values.push(reader.read(tag));
  return values;
}

/** Dotted decimal. */
export function oidOf({ content }: DerValue): string {
  if (content.length === 0 || content.length > 64) throw new MalformedDer("an object identifier of no use");
  const arcs: number[] = [];
  let arc = 0;
  for (let index = 0; index < content.length; index++) {
    const byte = content[index] as number;
    if (arc === 0 && byte === 0x80) throw new MalformedDer("an arc that is not the shortest");
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw new MalformedDer("an arc beyond 2^53");
    if (byte < 0x80) {
      if (arcs.length === 0) {
        const root = Math.min(Math.floor(arc / 40), 2);
        arcs.push(root, arc - root * 40);
      } else arcs.push(arc);
      arc = 0;
    } else if (index === content.length - 1) throw new MalformedDer("an object identifier without an end");
  }
  return arcs.join(".");
}

/** Any octet but 0 is true: DER wants 0xff, old certificates have others. */
export function booleanOf({ content }: DerValue): boolean {
  if (content.length !== 1) throw new MalformedDer("a boolean of another length than 1");
  return content[0] !== 0;
}

/** The content of an INTEGER, which tells integers apart since it is the shortest. */
export function integerOctets({ content }: DerValue): Buffer {
  const [first, second] = content;
  if (first === undefined) throw new MalformedDer("an empty integer");
  const isPadded =
    second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (isPadded) throw new MalformedDer("an integer that is not the shortest");
  return content;
}

/** The integer's octets in hex, as serial numbers are compared. Throws MalformedDer. */
export function integerHex(value: DerValue): string {
  return integerOctets(value).toString("hex");
}

/** A number from 0 to 2^31-1. */
export function smallIntegerOf(value: DerValue): number {
  const number = Number.parseInt(integerHex(value), 16);
  if (value.content.length > 4 || (value.content[0] as number) >= 0x80)
    throw new MalformedDer("a number out of bounds");
  return number;
}

/** Named bits of a BIT STRING, bit 0 as 1, bit 1 as 2 and so on; those above 15 are left out. */
export function namedBitsOf({ content }: DerValue): number {
  const unused = content[0];
  if (unused === undefined || unused > 7 || (unused > 0 && content.length === 1))
    throw new MalformedDer("a bit string without its first octet");
  let bits = 0;
  for (let bit = 0; bit < 16; bit++)
    if (((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) bits |= 1 << bit;
  return bits;
}

/** Milliseconds since the epoch of a UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 writes them: seconds, and Z. */
export function timeOf({ tag, content }: DerValue): number {
  const found = (tag === TAG.utcTime ? UTC_TIME : GENERALIZED_TIME).exec(content.toString("latin1"));
  if (found === null || (tag !== TAG.utcTime && tag !== TAG.generalizedTime))
    throw new MalformedDer("a time that is none");
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1).map(Number);
  const full = tag === TAG.utcTime ? year + (year < 50 ? 2000 : 1900) : year;
  const date = new Date(Date.UTC(2000, month - 1, day, hour, minute, second));
  date.setUTCFullYear(full, month - 1, day);
  const isDate = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isDate || hour > 23 || minute > 59 || second > 59) throw new MalformedDer("a date that is none");
  return date.getTime();
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
