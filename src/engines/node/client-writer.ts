import type { Socket } from "node:net";
import { GATHERED_BYTES, Gathered } from "./gathered.ts";
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
  #gathered: Gathered | null = null;
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
    const gathered = this.#gathered;
    if (gathered === null || this.#length === 0) this.#text += data;
    else if (!gathered.awaits && data.length <= GATHERED_BYTES - this.#length)
      this.#length += gathered.bytes.write(data, this.#length, "latin1");
    else {
      this.#send(gathered);
      this.#text = data;
    }
    this.#schedule();
    return this.#flowing(!this.#socket.writableNeedDrain);
  }

  /** Bytes that their owner may overwrite as soon as this returns. False: wait. */
  bytes(data: Buffer): boolean {
    if (this.#closed) return true;
    let from = 0;
    while (from < data.length) {
      const gathered = this.#gather();
      if (gathered === null) {
        this.#sendText();
        return this.#flowing(this.#socket.write(Buffer.from(data.subarray(from))));
      }
      const taken = gathered.holds(data, this.#length)
        ? data.length
        : data.copy(gathered.bytes, this.#length, from);
      this.#length += taken;
      from += taken;
      if (this.#length === GATHERED_BYTES) this.#send(gathered);
    }
    this.#schedule();
    return this.#flowing(this.#idle || this.#length < HOLD_BYTES);
  }

  /** Where the next bytes may be read to, `size` of them, which `bytes` then need not copy; null: it makes no odds. */
  lend(size: number): Gathered | null {
    const gathered = this.#gathered;
    const at = this.#length;
    if (gathered === null || !this.#copies || at < BULK_BYTES || size > GATHERED_BYTES - at) return null;
    return gathered.lend(at, size) ? gathered : null;
  }

  /** Writes what is gathered. */
  flush(): void {
    this.#sendText();
    const gathered = this.#gathered;
    if (gathered === null) return;
    if (this.#length > 0) this.#send(gathered);
    else if (!gathered.lent) this.#release(gathered);
  }

  close(): void {
    this.#closed = true;
    this.#text = "";
    this.#length = 0;
    if (this.#gathered !== null) this.#release(this.#gathered);
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
  #gather(): Gathered | null {
    this.#gathered ??= Gathered.take();
    const gathered = this.#gathered;
    if (gathered !== null && this.#text !== "") {
      if (!gathered.lent && this.#text.length <= GATHERED_BYTES)
        this.#length = gathered.bytes.write(this.#text, 0, "latin1");
      else this.#socket.write(this.#text, "latin1");
      this.#text = "";
    }
    return gathered;
  }

  #sendText(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    writeText(this.#socket, this.#copies, text);
  }

  #send(gathered: Gathered): void {
    const data = gathered.bytes.subarray(0, this.#length);
    this.#length = 0;
    this.#sending++;
    if (this.#copies && this.#idle) {
      this.#socket.write(data, this.#onWritten);
      if (!gathered.lent) this.#release(gathered);
    } else {
      this.#gathered = null;
      this.#socket.write(data, () => {
        gathered.release();
        this.#onWritten();
      });
    }
  }

  #release(gathered: Gathered): void {
    this.#gathered = null;
    gathered.release();
  }

  #afterWrite(): void {
    if (this.#closed) return;
    if (!this.#scheduled) this.#flushNext();
    if (!this.#awaited) return;
    this.#awaited = false;
    this.#onWritable();
  }
}

/** Three quarters of what is gathered may wait for the client before its upstream is held. */
const HOLD_BYTES = 393_216;
/** With so many bytes in one turn of the event loop, more are likely to come. */
const BULK_BYTES = 32_768;
