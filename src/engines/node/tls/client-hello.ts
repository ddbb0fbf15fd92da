/** What the first bytes of a connection say (RFC 8446 §4.1.2, §5.1; RFC 6066 §3 for the server name). */
export type HelloPeek =
  | { readonly kind: "more" }
  | { readonly kind: "not-tls" }
  | { readonly kind: "malformed" }
  /** Server name in lower case, without final dot; null where the client sent none. */
  | { readonly kind: "hello"; readonly serverName: string | null };

/** A hello with post-quantum key shares spans segments and may span records; this bounds what is collected of it. */
export const MAX_HELLO_BYTES: number = 16_384 + 5;

/** Reads the server name without consuming anything. Never throws, whatever the bytes. */
export function peekClientHello(bytes: Buffer): HelloPeek {
  const joined = handshakeBytes(bytes);
  if ("kind" in joined) return joined;
  const { handshake } = joined;
  if (handshake.length >= 1 && handshake[0] !== CLIENT_HELLO) return MALFORMED;
  if (handshake.length < 4) return MORE;
  const length = handshake.readUIntBE(1, 3);
  if (length > MAX_HELLO_BYTES) return MALFORMED;
  if (handshake.length < 4 + length) return MORE;
  const reader = new Reader(handshake.subarray(4, 4 + length));
  reader.skip(2 + 32); // legacy_version, random
  reader.skip(reader.uint(1)); // legacy_session_id
  reader.skip(reader.uint(2)); // cipher_suites
  reader.skip(reader.uint(1)); // legacy_compression_methods
  if (reader.failed) return MALFORMED;
  if (reader.left === 0) return { kind: "hello", serverName: null };
  const extensionsLength = reader.uint(2);
  if (reader.failed || extensionsLength !== reader.left) return MALFORMED;
  let serverName: string | null = null;
  while (reader.left > 0) {
    const type = reader.uint(2);
    const body = reader.take(reader.uint(2));
    if (reader.failed) return MALFORMED;
    if (type !== SERVER_NAME) continue;
    if (serverName !== null) return MALFORMED;
    serverName = readServerName(body);
    if (serverName === null) return MALFORMED;
  }
  return { kind: "hello", serverName };
}

/** The form in which virtual hosts are looked up. */
export function normaliseServerName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

const MORE: HelloPeek = { kind: "more" };
const MALFORMED: HelloPeek = { kind: "malformed" };
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
/** OpenSSL's bound too (TLSEXT_MAXLEN_host_name). */
const MAX_NAME_BYTES = 255;

/** The handshake bytes of the leading records, joined. */
function handshakeBytes(bytes: Buffer): HelloPeek | { handshake: Buffer } {
  const pieces: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] !== HANDSHAKE) return { kind: pieces.length === 0 ? "not-tls" : "malformed" };
    if (at + 1 < bytes.length && bytes[at + 1] !== 3)
      return { kind: pieces.length === 0 ? "not-tls" : "malformed" };
    if (at + 5 > bytes.length) break;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 16_384) return MALFORMED;
    pieces.push(bytes.subarray(at + 5, Math.min(at + 5 + length, bytes.length)));
    at += 5 + length;
    const [first] = pieces;
    if (
      pieces.length === 1 &&
      first !== undefined &&
      first.length >= 4 &&
      first.length >= 4 + first.readUIntBE(1, 3)
    )
      break;
  }
  return { handshake: pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces) };
}

function readServerName(body: Buffer): string | null {
  const reader = new Reader(body);
  const listLength = reader.uint(2);
  if (reader.failed || listLength !== reader.left) return null;
  const type = reader.uint(1);
  const name = reader.take(reader.uint(2));
  if (reader.failed || reader.left !== 0 || type !== 0) return null;
  if (name.length > MAX_NAME_BYTES) return null;
  const text = normaliseServerName(name.toString("latin1"));
  return /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(text) ? text : null;
}

/** Reads forward; once it has run short it stays failed and gives zeros. */
class Reader {
  failed = false;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint(size: number): number {
    if (this.left < size) this.failed = true;
    if (this.failed) return 0;
    this.#at += size;
    return this.#bytes.readUIntBE(this.#at - size, size);
  }

  take(length: number): Buffer {
    if (this.left < length) this.failed = true;
    if (this.failed) return Buffer.alloc(0);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  skip(length: number): void {
    this.take(length);
  }
}
