/**
 * One buffer for what many sockets read, or write: its bytes are used up, or copied, before the next one's turn. Node's own
 * way allocates memory for every read, which at a gigabit keeps the garbage collector's threads as busy as the TLS.
 */
export class SharedBuffer {
  /** 64 KiB, as much as libuv reads at once. */
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(65_536);
  readonly #record: Buffer = this.bytes.subarray(0, RECORD);
  /** By length: heads and small bodies come in few lengths, and a view costs more than to look it up. */
  readonly #views: (Buffer | undefined)[] = new Array(KEPT + 1).fill(undefined);

  /** The first `count` bytes. */
  view(count: number): Buffer {
    if (count === RECORD) return this.#record;
    if (count > KEPT) return count === this.bytes.length ? this.bytes : this.bytes.subarray(0, count);
    const known = this.#views[count];
    if (known !== undefined) return known;
    const view = this.bytes.subarray(0, count);
    this.#views[count] = view;
    return view;
  }
}

const KEPT = 2048;
/** A full TLS record (RFC 8446 §5.1), as large bodies come. */
const RECORD = 16_384;
