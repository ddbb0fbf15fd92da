/** What stops the reading of a message; it never leaves this folder. */
export class TruncatedMessage extends Error {}

/** Reads TLS's presentation language (RFC 8446 §3): big-endian numbers, vectors behind their length. */
export class Bytes {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** A number of so many octets. */
  number(octets: 1 | 2 | 3): number {
    return this.take(octets).readUIntBE(0, octets);
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new TruncatedMessage("a message that ends early");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** What stands behind a length of so many octets. */
  vector(octets: 1 | 2 | 3): Buffer {
    return this.take(this.number(octets));
  }

  /** Vectors, each with a length of its own, one after another to the end. */
  vectors(octets: 1 | 2 | 3): Buffer[] {
    const all: Buffer[] = [];
    while (!this.isAtEnd) all.push(this.vector(octets));
    return all;
  }

  /** Two-octet numbers to the end. */
  codes(): number[] {
    const all: number[] = [];
    while (!this.isAtEnd) all.push(this.number(2));
    return all;
  }
}
