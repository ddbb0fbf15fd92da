import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { keepSecret } from "./wire/record-keys.ts";
import { readTranscript, type Transcript } from "./wire/transcript.ts";

/** Stands between TLS and a TCP socket, and keeps a copy of what passes: OpenSSL tells too little of what was said. */
export class Recorder extends Duplex {
  readonly #socket: Socket;
  readonly #sent: Buffer[] = [];
  readonly #received: Buffer[] = [];
  readonly #secrets = new Map<string, Buffer>();
  #bytes = 0;
  /** How the peer ended it, if it did. */
  ended: "closed" | "reset" | null = null;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#keep(this.#received, chunk);
      if (!this.push(chunk)) socket.pause();
    });
    socket.on("end", () => {
      this.ended ??= "closed";
      this.push(null);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") this.ended ??= "reset";
      this.destroy(error);
    });
    socket.on("close", () => this.destroy());
  }

  get receivedBytes(): number {
    return this.#received.reduce((sum, { length }) => sum + length, 0);
  }

  keepSecret(line: Buffer): void {
    keepSecret(line, this.#secrets);
  }

  transcript(): Transcript {
    return readTranscript({
      sent: Buffer.concat(this.#sent),
      received: Buffer.concat(this.#received),
      secrets: this.#secrets,
    });
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#keep(this.#sent, chunk);
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  /** A handshake is far below it; what a peer sends without end is not kept. */
  #keep(kept: Buffer[], chunk: Buffer): void {
    if (this.#bytes > MAX_BYTES) return;
    this.#bytes += chunk.length;
    kept.push(Buffer.from(chunk));
  }
}

const MAX_BYTES = 256 * 1024;
