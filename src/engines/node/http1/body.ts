import { CR, FIELD, FieldLines, hasBareLf, LF } from "./fields.ts";
import type { ResponseHead } from "./response-head.ts";

/**
 * Follows a message body through the bytes that arrive, without collecting it (RFC 9112 §6, §7.1). Chunked framing is
 * checked strictly and goes on byte for byte; trailers are parsed, cleaned of fields that may not stand there, and
 * written anew.
 */
export class BodyReader {
  done = true;
  /** Body bytes seen (framing included for chunked). */
  bytes = 0;
  /** After `read`: up to where the bytes given may be forwarded as they are. */
  forwardEnd = 0;
  /** After the end of a chunked body with trailers: what is to be written after the forwarded bytes. */
  tail = "";
  /** Names, in lower case, that may not come in a trailer of this message, beside those that never may. */
  barred: ReadonlySet<string> = NOTHING;
  #mode: "none" | "sized" | "chunked" | "until-close" = "none";
  #remaining = 0;
  #state = SIZE;
  #digits = 0;
  #extension = 0;
  #trailers: Buffer | null = null;

  startNone(): void {
    this.#start("none");
    this.done = true;
  }

  startSized(length: number): void {
    this.#start("sized");
    this.#remaining = length;
    this.done = length === 0;
  }

  startChunked(): void {
    this.#start("chunked");
    this.#state = SIZE;
    this.#digits = this.#extension = this.#remaining = 0;
  }

  startUntilClose(): void {
    this.#start("until-close");
  }

  /** As the head says, to a request that was HEAD or not (RFC 9112 §6.3). */
  startResponse(head: ResponseHead, isHead: boolean): void {
    if (isHead || head.status === 204 || head.status === 304) this.startNone();
    else if (head.chunked) this.startChunked();
    else if (head.contentLength !== -1) this.startSized(head.contentLength);
    else this.startUntilClose();
  }

  /** The body ends where the connection does, so it must be framed anew for the next hop. */
  get untilClose(): boolean {
    return this.#mode === "until-close";
  }

  /** Not more than `length` bytes are missing, for sure. */
  endsWithin(length: number): boolean {
    return this.#mode === "sized" && this.#remaining <= length;
  }

  /** Takes `bytes[from…]`; returns where the body's part of them ends, or -1 for framing that is malformed. */
  read(bytes: Buffer, from: number): number {
    let end = bytes.length;
    if (this.done) end = this.forwardEnd = from;
    else if (this.#mode === "sized") {
      const take = Math.min(this.#remaining, bytes.length - from);
      this.#remaining -= take;
      this.done = this.#remaining === 0;
      end = this.forwardEnd = from + take;
    } else if (this.#mode === "until-close") this.forwardEnd = end;
    else end = this.#readChunked(bytes, from);
    this.bytes += this.forwardEnd - from;
    return end;
  }

  #start(mode: "none" | "sized" | "chunked" | "until-close"): void {
    this.#mode = mode;
    this.done = false;
    this.bytes = 0;
    this.tail = "";
    this.#trailers = null;
  }

  #readChunked(bytes: Buffer, from: number): number {
    let at = from;
    while (at < bytes.length) {
      const byte = bytes[at] as number;
      switch (this.#state) {
        case SIZE: {
          const digit = HEX[byte] as number;
          if (digit !== 255) {
            // 13 hex digits stay exact in a double; leading zeros count, so no number is unbounded.
            if (++this.#digits > 13) return -1;
            this.#remaining = this.#remaining * 16 + digit;
          } else if (this.#digits === 0) return -1;
          else if (byte === CR) this.#state = SIZE_LF;
          else if (byte === SEMICOLON) this.#state = EXTENSION;
          else return -1;
          at++;
          break;
        }
        case EXTENSION:
          // Forwarded unread (§7.1.1), but bounded, and no control character may hide in it.
          if (byte === CR) this.#state = SIZE_LF;
          else if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f || ++this.#extension > MAX_EXTENSIONS)
            return -1;
          at++;
          break;
        case SIZE_LF:
          if (byte !== LF) return -1;
          at++;
          this.#digits = 0;
          this.#state = this.#remaining === 0 ? TRAILER : DATA;
          break;
        case DATA: {
          const take = Math.min(this.#remaining, bytes.length - at);
          at += take;
          this.#remaining -= take;
          if (this.#remaining === 0) this.#state = DATA_CR;
          break;
        }
        case DATA_CR:
          if (byte !== CR) return -1;
          at++;
          this.#state = DATA_LF;
          break;
        case DATA_LF:
          if (byte !== LF) return -1;
          at++;
          this.#state = SIZE;
          break;
        default: {
          this.forwardEnd = this.#trailers === null ? at : from;
          return this.#readTrailers(bytes, at);
        }
      }
    }
    this.forwardEnd = at;
    return at;
  }

  /** Without trailers the last two bytes are the CRLF that ends the message. */
  #readTrailers(bytes: Buffer, at: number): number {
    const before = this.#trailers?.length ?? 0;
    const section =
      before === 0 ? bytes.subarray(at) : Buffer.concat([this.#trailers as Buffer, bytes.subarray(at)]);
    let end = 0;
    if (section[0] === CR && (section.length === 1 || section[1] === LF)) end = section.length === 1 ? -1 : 2;
    else {
      const blank = section.indexOf("\r\n\r\n");
      end = blank === -1 ? -1 : blank + 4;
    }
    if (end === -1) {
      if (section.length > MAX_TRAILERS || hasBareLf(section, 0, section.length)) return -1;
      this.#trailers = Buffer.from(section);
      return bytes.length;
    }
    if (end > MAX_TRAILERS) return -1;
    this.done = true;
    this.tail = "\r\n";
    if (end > 2) {
      const fields = new FieldLines(MAX_TRAILER_FIELDS);
      fields.text = section.toString("latin1", 0, end - 2);
      if (fields.parse(section, 0, 0, end - 2) !== null) return -1;
      let kept = "";
      for (let index = 0; index < fields.count; index++) {
        if (mayTrail(fields, index) && !this.barred.has(fields.name(index)))
          kept += `${fields.name(index)}: ${fields.value(index)}\r\n`;
      }
      this.tail = `${kept}\r\n`;
    }
    this.#trailers = null;
    return at + end - before;
  }
}

const NOTHING: ReadonlySet<string> = new Set();
const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER = 6;

const SEMICOLON = 0x3b;
/** Bytes of chunk extensions in one body. */
const MAX_EXTENSIONS = 4096;
const MAX_TRAILERS = 8192;
const MAX_TRAILER_FIELDS = 32;

const HEX = new Uint8Array(256).fill(255);
for (const [value, digits] of [
  "0",
  "1",
  "2",
  "3",
  "4",
  "5",
  "6",
  "7",
  "8",
  "9",
  "aA",
  "bB",
  "cC",
  "dD",
  "eE",
  "fF",
].entries()) {
  for (const digit of digits) HEX[digit.charCodeAt(0)] = value;
}

/** RFC 9110 §6.5.1: framing, routing, authentication and identity never come in a trailer. */
function mayTrail(fields: FieldLines, index: number): boolean {
  if (fields.id[index] !== FIELD.other) return false;
  return !/^(?:authorization|proxy-authorization|cookie|set-cookie|content-(?:encoding|type|range)|cache-control|max-forwards|range|if-.*|www-authenticate|age|expires|location|retry-after|vary|x-forwarded-.*|forwarded)$/.test(
    fields.name(index),
  );
}
