import type { OnReadOpts } from "node:net";
import { SharedBuffer } from "../shared-buffer.ts";

/** What an upstream socket reads into, one buffer for all of them: bytes are used up, or copied, before the receiver returns. */
export class Incoming {
  readonly onread: OnReadOpts;
  /** Bytes that come while nobody receives are of no request: they make the connection unfit. */
  unexpected = false;
  #receive: ((chunk: Buffer) => void) | null = null;

  constructor() {
    this.onread = {
      buffer: READ_BUFFER.bytes,
      callback: (count) => {
        if (this.#receive === null) this.unexpected = true;
        else this.#receive(READ_BUFFER.view(count));
        return true;
      },
    };
  }

  deliverTo(receive: (chunk: Buffer) => void): void {
    this.#receive = receive;
  }
}

const READ_BUFFER = new SharedBuffer();
