import type { OnReadOpts, Socket } from "node:net";
import { fieldsOfOnread } from "../client-reads.ts";
import type { Gathered } from "../gathered.ts";
import { SharedBuffer } from "../shared-buffer.ts";

/** Who takes what an upstream socket reads. */
export interface Receiver {
  receive(chunk: Buffer): void;
  /** Asked after each `receive` of many bytes: where the next bytes are to be read to; null: anywhere. */
  landing(): Gathered | null;
}

/**
 * What an upstream socket reads into: one buffer for all of them, whose bytes are used up, or copied, before the receiver
 * returns; or what the receiver of the last bytes has named.
 */
export class Incoming {
  readonly onread: OnReadOpts;
  /** Bytes that come while nobody receives are of no request: they make the connection unfit. */
  unexpected = false;
  #socket: Generated | null = null;
  #receiver: Receiver | null = null;
  /** What the socket reads into; null: the shared buffer. */
  #target: Gathered | null = null;
  /** From the next read on. */
  #next: Gathered | null = null;

  constructor() {
    this.onread = {
      buffer: READ_BUFFER.bytes,
      callback: (count) => {
        const target = this.#target;
        const bytes = target === null ? READ_BUFFER.view(count) : target.receive(count);
        const receiver = this.#receiver;
        if (receiver === null) this.unexpected = true;
        else {
          receiver.receive(bytes);
          if (count >= LARGE || target !== null) this.#decide(receiver, count);
        }
        return true;
      },
    };
  }

  deliverTo(socket: Socket, receiver: Receiver): void {
    this.#socket = socket as unknown as Generated;
    this.#receiver = receiver;
  }

  /** Where the next read goes. */
  #decide(receiver: Receiver, count: number): void {
    this.#next = count < LARGE || GENERATOR === null ? null : receiver.landing();
    if (this.#next !== null && this.#target === null) this.#generate(() => this.#turnToNext());
  }

  /** The socket is closed: it writes nowhere any more. */
  close(): void {
    this.#target?.reclaim();
    this.#target = null;
  }

  /** Has Node ask where the next bytes go when a read has been received; as most never say, not always. */
  #generate(generator: (() => Buffer) | null): void {
    if (this.#socket !== null && GENERATOR !== null) this.#socket[GENERATOR] = generator;
  }

  #turnToNext(): Buffer {
    const next = this.#next;
    if (next !== this.#target) {
      this.#target?.reclaim();
      this.#target = next;
    }
    if (next !== null) return next.landing;
    this.#generate(null);
    return READ_BUFFER.bytes;
  }
}

interface Generated {
  [field: symbol]: unknown;
}

const READ_BUFFER = new SharedBuffer();
/** With fewer bytes it makes no odds where the next ones go. */
const LARGE = 8192;
const GENERATOR = fieldsOfOnread()?.generator ?? null;
