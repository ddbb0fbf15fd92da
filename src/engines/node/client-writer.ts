import type { Socket } from "node:net";
import { copiesWrites, writeText } from "./socket-text.ts";
import { atTurnEnd, type TurnWaiter } from "./turn.ts";

/** What goes out to one client: what comes in one turn of the event loop is gathered, and leaves at its end in one write. */
export class ClientWriter implements TurnWaiter {
  readonly #socket: Socket;
  readonly #onWritable: () => void;
  readonly #onWritten: () => void;
  readonly #copies: boolean;
  /** Latin-1; nothing is gathered before it. */
  #text = "";
  /** Body bytes, which their owner takes back, and text behind them. */
  #gathered: Buffer | null = null;
  #length = 0;
  #scheduled = false;
  /** Writes of gathered bytes that are under way: each tells when it is done, as text does not. */
  #sending = 0;
  /** Somebody was told to wait. */
  #awaited = false;
  #closed = false;

  /** `onWritable` is called after a method has returned false, once there is room again. */
  constructor(socket: Socket, onWritable: () => void) {
    this.#socket = socket;
    this.#copies = copiesWrites(socket);
    this.#onWritable = onWritable;
    this.#onWritten = () => {
      this.#sending--;
      this.#afterWrite();
    };
    socket.on("drain", () => this.#afterWrite());
  }

  /** True: there is no room for another answer, and `onWritable` will be called. */
  get full(): boolean {
    return !this.#flowing(!this.#socket.writableNeedDrain);
  }

  /** Latin-1 text. False: wait. */
  text(data: string): boolean {
    if (this.#closed) return true;
    if (this.#gathered === null || this.#length === 0) this.#text += data;
    else if (data.length <= GATHERED_BYTES - this.#length)
      this.#length += this.#gathered.write(data, this.#length, "latin1");
    else {
      this.#send(this.#gathered);
      this.#text = data;
    }
    this.#schedule();
    return this.#flowing(!this.#socket.writableNeedDrain);
  }

  /** Bytes that their owner may overwrite as soon as this returns. False: wait. */
  bytes(data: Buffer): boolean {
    if (this.#closed) return true;
    let rest = data;
    while (rest.length > 0) {
      const gathered = this.#gather();
      if (gathered === null) {
        this.#sendText();
        return this.#flowing(this.#socket.write(Buffer.from(rest)));
      }
      const taken = rest.copy(gathered, this.#length);
      this.#length += taken;
      rest = rest.subarray(taken);
      if (this.#length === GATHERED_BYTES) this.#send(gathered);
    }
    this.#schedule();
    return this.#flowing(this.#idle || this.#length < HOLD_BYTES);
  }

  /** Writes what is gathered. */
  flush(): void {
    this.#sendText();
    if (this.#gathered !== null && this.#length > 0) this.#send(this.#gathered);
  }

  close(): void {
    this.#closed = true;
    this.#text = "";
    this.#length = 0;
    if (this.#gathered !== null) release(this.#gathered);
    this.#gathered = null;
  }

  /** What cannot go out now goes when the write before it is done, where that is one that tells. */
  onTurnEnd(): void {
    this.#scheduled = false;
    if (this.#closed) return;
    this.#sendText();
    this.#flushNext();
  }

  #flushNext(): void {
    if (this.#idle || this.#sending === 0) this.flush();
  }

  /** Nothing is with the socket: a write goes straight through. */
  get #idle(): boolean {
    return this.#socket.writableLength === 0;
  }

  #flowing(flowing: boolean): boolean {
    if (!flowing) this.#awaited = true;
    return flowing;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    atTurnEnd(this);
  }

  /** Text that stands before the bytes goes out with them. */
  #gather(): Buffer | null {
    if (this.#gathered === null) this.#gathered = take();
    if (this.#gathered !== null && this.#text !== "") {
      if (this.#text.length <= GATHERED_BYTES) this.#length = this.#gathered.write(this.#text, 0, "latin1");
      else this.#socket.write(this.#text, "latin1");
      this.#text = "";
    }
    return this.#gathered;
  }

  #sendText(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    writeText(this.#socket, this.#copies, text);
  }

  #send(gathered: Buffer): void {
    const data = gathered.subarray(0, this.#length);
    this.#gathered = null;
    this.#length = 0;
    this.#sending++;
    if (this.#copies && this.#idle) {
      this.#socket.write(data, this.#onWritten);
      release(gathered);
    } else {
      this.#socket.write(data, () => {
        release(gathered);
        this.#onWritten();
      });
    }
  }

  #afterWrite(): void {
    if (this.#closed) return;
    if (!this.#scheduled) this.#flushNext();
    if (!this.#awaited) return;
    this.#awaited = false;
    this.#onWritable();
  }
}

/**
 * 512 KiB, of which three quarters may wait for the client before its upstream is held: pausing a fast upstream closes its
 * TCP window, and that costs more than the memory. With 128 KiB, 1 MiB bodies took 1.8 times the CPU (bench/).
 */
const GATHERED_BYTES = 524_288;
const HOLD_BYTES = 393_216;
/** So many bodies at a time are gathered, in 64 MiB; more of them pass one chunk at a time. */
const GATHERED_MAX = 128;
/** Kept for the next body. */
const SPARE_MAX = 16;
const spare: Buffer[] = [];
let taken = 0;

function take(): Buffer | null {
  if (taken === GATHERED_MAX) return null;
  taken++;
  return spare.pop() ?? Buffer.allocUnsafeSlow(GATHERED_BYTES);
}

function release(gathered: Buffer): void {
  taken--;
  if (spare.length < SPARE_MAX) spare.push(gathered);
}
