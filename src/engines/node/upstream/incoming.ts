import type { OnReadOpts } from "node:net";

/**
 * What an upstream socket reads into: one buffer for all of them. Node's own way allocates memory for every read, which
 * at a gigabit keeps the garbage collector's threads as busy as the TLS. So bytes are used up, or copied, before the
 * receiver returns.
 */
export class Incoming {
  readonly onread: OnReadOpts;
  /** Bytes that come while nobody receives are of no request: they make the connection unfit. */
  unexpected = false;
  #receive: ((chunk: Buffer) => void) | null = null;

  constructor() {
    this.onread = {
      buffer: READ_BUFFER,
      callback: (count) => {
        if (this.#receive === null) this.unexpected = true;
        else this.#receive(count === READ_BUFFER.length ? READ_BUFFER : READ_BUFFER.subarray(0, count));
        return true;
      },
    };
  }

  deliverTo(receive: (chunk: Buffer) => void): void {
    this.#receive = receive;
  }
}

/** 64 KiB, as much as libuv reads at once; a TLS record holds up to 16 KiB (RFC 8446 §5.1). */
const READ_BUFFER: Buffer = Buffer.allocUnsafeSlow(65_536);
