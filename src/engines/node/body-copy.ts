/** A request's body as it went upstream, kept as long as it is small enough to be said again. */
export class BodyCopy {
  #pieces: Buffer[] = [];
  #length = 0;
  /** Nothing is missing yet. */
  whole = true;

  add(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#length > COPY_MAX) {
      this.whole = false;
      this.#pieces = [];
    } else if (piece.length > 0) this.#pieces.push(piece);
  }

  /** All of it so far; null: nothing. */
  bytes(): Buffer | null {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? null;
  }
}

/** 64 KiB. */
const COPY_MAX = 65_536;
