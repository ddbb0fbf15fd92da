/**
 * Field lines of an HTTP/1.1 message (RFC 9112 §5), parsed strictly into flat arrays that are filled anew for each
 * message: no object per header. What two parsers could read differently is refused, never repaired.
 */
export class FieldLines {
  /** The section's bytes as Latin-1, one character a byte; offsets below index it. */
  text = "";
  count = 0;
  /** Where the lines end, relative to `base`: at the empty line, or with the bytes. */
  end = 0;
  readonly nameStart: Int32Array;
  readonly nameEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
  /** Start of the line after this one. */
  readonly lineEnd: Int32Array;
  /** One of FIELD, 0 for a field that the proxy has no rule for. */
  readonly id: Uint8Array;

  constructor(maxFields: number) {
    this.nameStart = new Int32Array(maxFields);
    this.nameEnd = new Int32Array(maxFields);
    this.valueStart = new Int32Array(maxFields);
    this.valueEnd = new Int32Array(maxFields);
    this.lineEnd = new Int32Array(maxFields);
    this.id = new Uint8Array(maxFields);
  }

  name(index: number): string {
    return this.text.slice(this.nameStart[index], this.nameEnd[index]).toLowerCase();
  }

  value(index: number): string {
    return this.text.slice(this.valueStart[index], this.valueEnd[index]);
  }

  /** Whether the value is `text`, to the letter. */
  is(index: number, text: string): boolean {
    const start = this.valueStart[index] as number;
    return (this.valueEnd[index] as number) - start === text.length && this.text.startsWith(text, start);
  }

  /** The value where it is a number of one to 15 digits, which a double holds exactly; else -1. */
  number(index: number): number {
    const start = this.valueStart[index] as number;
    const end = this.valueEnd[index] as number;
    if (start === end || end - start > 15) return -1;
    let number = 0;
    for (let at = start; at < end; at++) {
      const digit = this.text.charCodeAt(at) - 0x30;
      if (digit < 0 || digit > 9) return -1;
      number = number * 10 + digit;
    }
    return number;
  }

  /**
   * Parses the lines in `bytes[from, to)`, each ended by CRLF, up to an empty one; offsets are kept relative to `base`,
   * where `text` begins.
   * Returns what is wrong, or null.
   */
  parse(bytes: Buffer, base: number, from: number, to: number): string | null {
    const { nameStart: nameStarts, nameEnd: nameEnds, valueStart: valueStarts, valueEnd: valueEnds } = this;
    const { lineEnd: lineEnds, id: ids } = this;
    let at = from;
    let count = 0;
    while (at < to) {
      if (count === ids.length) return TOO_MANY_FIELDS;
      const nameStart = at;
      let byte = bytes[at] as number;
      while (TOKEN[byte] === 1) byte = bytes[++at] as number;
      // Covers whitespace before the colon (§5.1), obs-fold (§5.2) and an empty name.
      if (byte !== COLON || at === nameStart) {
        if (byte === CR && at === nameStart && bytes[at + 1] === LF && at + 1 < to) break;
        return MALFORMED_NAME;
      }
      const nameEnd = at++;
      while (bytes[at] === SPACE || bytes[at] === TAB) at++;
      const valueStart = at;
      while (FIELD_VALUE[bytes[at] as number] === 1) at++;
      let valueEnd = at;
      // Anything else that stops a value is a control character: NUL, a bare CR or a bare LF (RFC 9110 §5.5).
      if (bytes[at] !== CR || bytes[at + 1] !== LF) return "control character in a field value";
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB))
        valueEnd--;
      at += 2;
      nameStarts[count] = nameStart - base;
      nameEnds[count] = nameEnd - base;
      valueStarts[count] = valueStart - base;
      valueEnds[count] = valueEnd - base;
      lineEnds[count] = at - base;
      ids[count] = knownField(bytes, nameStart, nameEnd);
      count++;
    }
    this.count = count;
    this.end = at - base;
    return null;
  }
}

/** A head is Latin-1 text, one character a byte: what configuration adds to it goes out in UTF-8, and no character of it ends a line. */
export function bytesOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

export const MALFORMED_NAME = "malformed field name";
/** A bound of ours, unlike what else is wrong with a head. */
export const TOO_MANY_FIELDS = "too many fields";

/** Fields that the proxy has a rule for. */
export const FIELD = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  /** Hop-by-hop whatever Connection says (RFC 9110 §7.6.1). */
  keepAlive: 5,
  proxyConnection: 6,
  te: 7,
  upgrade: 8,
  expect: 9,
  forwardedFor: 10,
  forwardedProto: 11,
  requestId: 12,
  /** Identity or routing that only the gateway itself may assert: removed from clients (design §9). */
  asserted: 13,
  server: 14,
  date: 15,
  http2Settings: 16,
  trailer: 17,
  clientCertificate: 18,
} as const;

const FIELD_NAMES: Readonly<Record<string, number>> = {
  host: FIELD.host,
  "content-length": FIELD.contentLength,
  "transfer-encoding": FIELD.transferEncoding,
  connection: FIELD.connection,
  "keep-alive": FIELD.keepAlive,
  "proxy-connection": FIELD.proxyConnection,
  te: FIELD.te,
  upgrade: FIELD.upgrade,
  expect: FIELD.expect,
  "x-forwarded-for": FIELD.forwardedFor,
  "x-forwarded-proto": FIELD.forwardedProto,
  "x-request-id": FIELD.requestId,
  "x-forwarded-client-cert": FIELD.clientCertificate,
  "l5d-dst-override": FIELD.asserted,
  server: FIELD.server,
  date: FIELD.date,
  "http2-settings": FIELD.http2Settings,
  trailer: FIELD.trailer,
};

/** Every `x-envoy-…` field steers an Envoy behind us, so none is taken from a client. It stands where FIELD.other has no name. */
const ASSERTED_PREFIX = "x-envoy-";

export const SPACE = 0x20;
const TAB = 0x09;
export const CR = 0x0d;
export const LF = 0x0a;
const COLON = 0x3a;

/** tchar of RFC 9110 §5.6.2. */
export const TOKEN: Uint8Array = charTable("!#$%&'*+-.^_`|~0-9A-Za-z");
/** field-vchar, SP, HTAB and obs-text of RFC 9110 §5.5. */
const FIELD_VALUE: Uint8Array = charTable("\t -~\x80-\xff");

/** What `slotOf` says of a name leads to its ID; the names themselves stand one after another, each at `NAME_ROOM` times its ID. */
const idBySlot = new Uint8Array(256);
const NAME_ROOM = 32;
const names = new Uint8Array(NAME_ROOM * (Object.keys(FIELD).length + 1));
const nameLengths = new Uint8Array(names.length / NAME_ROOM);
for (const [name, id] of [...Object.entries(FIELD_NAMES), [ASSERTED_PREFIX, 0] as const]) {
  const bytes = Buffer.from(name);
  names.set(bytes, NAME_ROOM * id);
  nameLengths[id] = bytes.length;
  if (id === FIELD.other) continue;
  const slot = slotOf(bytes, 0, bytes.length);
  if (idBySlot[slot] !== 0) throw new Error(`${name} shares its slot with another field`);
  idBySlot[slot] = id;
}

/** By its length and its first and last letter, in either case. */
function slotOf(bytes: Uint8Array, start: number, end: number): number {
  const first = (bytes[start] as number) & 0x1f;
  const last = (bytes[end - 1] as number) & 0x1f;
  return (first + last + 4 * (end - start)) & 255;
}

function knownField(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  const id = idBySlot[slotOf(bytes, start, end)] as number;
  if (id !== FIELD.other && nameLengths[id] === length && startsWith(bytes, start, id)) return id;
  if (length >= ASSERTED_PREFIX.length && startsWith(bytes, start, FIELD.other)) return FIELD.asserted;
  return FIELD.other;
}

/** Whether the name at `start` begins with that of `id`, in either case. */
function startsWith(bytes: Buffer, start: number, id: number): boolean {
  const nameAt = NAME_ROOM * id;
  for (let index = 0; index < (nameLengths[id] as number); index++) {
    // Lower-casing by OR is exact here: names hold letters, digits and `-`, and no token byte maps onto those but
    // their own upper case (0x0d, which would map onto `-`, is no token byte).
    if (((bytes[start + index] as number) | 0x20) !== names[nameAt + index]) return false;
  }
  return true;
}

/** A 256-entry membership table from a character class such as `0-9A-Z!`. */
function charTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let index = 0; index < characters.length; index++) {
    const first = characters.charCodeAt(index);
    const isRange =
      characters[index + 1] === "-" && index + 2 < characters.length && characters[index] !== "+";
    const last = isRange ? characters.charCodeAt(index + 2) : first;
    for (let code = first; code <= last; code++) table[code] = 1;
    if (isRange) index += 2;
  }
  return table;
}

/** A line of `bytes[from, to)` ends without a CR: no head that goes on like this is any. */
export function hasBareLf(bytes: Buffer, from: number, to: number): boolean {
  for (let at = bytes.indexOf(LF, from); at !== -1 && at < to; at = bytes.indexOf(LF, at + 1)) {
    if (at === from || bytes[at - 1] !== CR) return true;
  }
  return false;
}
