import type { Socket } from "node:net";

/** What a reader of a connection's first bytes makes of it. */
export interface Peek<Outcome> {
  /** Of all bytes so far; null: more are needed. Whatever is not consumed it puts back with `unshift`. */
  readonly judge: (bytes: Buffer) => Outcome | null;
  readonly onTimeout: () => Outcome;
  readonly onClosed: () => Outcome;
}

/**
 * Reads a connection's first bytes until `judge` knows, within `timeoutMs`, and calls `done` once. From then on the socket
 * and its errors are the caller's. A first message may span segments (an ML-KEM ClientHello exceeds one).
 */
export function peek<Outcome>(
  socket: Socket,
  timeoutMs: number,
  { judge, onTimeout, onClosed }: Peek<Outcome>,
  done: (outcome: Outcome) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const finish = (outcome: Outcome): void => {
    clearTimeout(timer);
    socket.off("readable", onReadable);
    socket.off("error", onGone);
    socket.off("end", onGone);
    socket.off("close", onGone);
    done(outcome);
  };
  const onGone = (): void => finish(onClosed());
  const onReadable = (): void => {
    const pieces = [bytes];
    for (let piece = socket.read(); piece !== null; piece = socket.read()) pieces.push(piece as Buffer);
    if (pieces.length === 1) return;
    bytes = Buffer.concat(pieces);
    const outcome = judge(bytes);
    if (outcome !== null) finish(outcome);
  };
  const timer = setTimeout(() => finish(onTimeout()), timeoutMs);
  socket.on("readable", onReadable);
  socket.on("error", onGone);
  socket.on("end", onGone);
  socket.on("close", onGone);
}
