/**
 * Memory in which what goes out to one client is gathered. Its writer may lend the part behind that to the upstream socket
 * whose bytes come next, so that the socket reads them to where they are to go, and nobody copies them.
 *
 * A socket that has been lent a part may write there until its next read has been received, whatever became of the request
 * meanwhile. So only the socket's side gives it back (`reclaim`), and until then the memory serves no other writer.
 */
export class Gathered {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(GATHERED_BYTES);
  #lent = false;
  /** The part lent; null: nothing more comes there before it is lent anew. */
  #landing: Buffer | null = null;
  #landingAt = 0;
  /** What has come, until the next is lent: where it stands, it has been received. */
  #landed: Buffer | null = null;
  /** Its writer is done with it. */
  #released = false;

  /** Null: so many are in use that this one has to do without. */
  static take(): Gathered | null {
    if (taken === GATHERED_MAX) return null;
    taken++;
    const gathered = spare.pop() ?? new Gathered();
    gathered.#released = false;
    return gathered;
  }

  release(): void {
    taken--;
    this.#released = true;
    this.#keep();
  }

  /** An upstream socket may write to it. */
  get lent(): boolean {
    return this.#lent;
  }

  /** An upstream socket may write behind what is gathered, and has not yet. */
  get awaits(): boolean {
    return this.#landing !== null;
  }

  /** Lends `size` bytes from `at`. False: so much is lent that this one has to do without. */
  lend(at: number, size: number): boolean {
    if (!this.#lent) {
      if (lent === LENT_MAX) return false;
      lent++;
      this.#lent = true;
    }
    this.#landingAt = at;
    this.#landing = this.bytes.subarray(at, at + size);
    this.#landed = null;
    return true;
  }

  /** The part lent. */
  get landing(): Buffer {
    return this.#landing ?? this.bytes;
  }

  /** `count` bytes have come; they stay as they are until the receiver returns, as long as nothing is written. */
  receive(count: number): Buffer {
    const landing = this.landing;
    this.#landing = null;
    this.#landed = count === landing.length ? landing : landing.subarray(0, count);
    return this.#landed;
  }

  /** `data` is what has come, and stands at `at`. */
  holds(data: Buffer, at: number): boolean {
    return data === this.#landed && at === this.#landingAt;
  }

  /** The socket reads to elsewhere now, or never again. */
  reclaim(): void {
    lent--;
    this.#lent = false;
    this.#landing = this.#landed = null;
    this.#keep();
  }

  #keep(): void {
    if (this.#released && !this.#lent && spare.length < SPARE_MAX) spare.push(this);
  }
}

/** 512 KiB: with 128 or 256 KiB a fast upstream is held more often, and 1 MiB bodies take 4 to 8 % more CPU (bench/). */
export const GATHERED_BYTES = 524_288;
/** So many bodies at a time are gathered, in 64 MiB; more of them pass one chunk at a time. */
const GATHERED_MAX = 128;
/** What is lent waits for an upstream, however slow: most is left to those that have something to send. */
const LENT_MAX = 32;
/** Kept for the next body. */
const SPARE_MAX = 16;
const spare: Gathered[] = [];
let taken = 0;
let lent = 0;
