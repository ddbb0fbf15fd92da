import type { Socket } from "node:net";
import { MAX_HELLO_BYTES, peekClientHello } from "./client-hello.ts";

export type HelloOutcome =
  /** With these two everything read is back in the socket, for whoever goes on with it. */
  | { readonly kind: "hello"; readonly serverName: string | null }
  | { readonly kind: "not_tls" }
  | { readonly kind: "malformed_hello" | "timeout" | "closed" };

/**
 * Waits for the whole ClientHello, bounded in bytes and time, and calls `done` once. From then on the socket and its
 * errors are the caller's.
 */
export function readHello(socket: Socket, timeoutMs: number, done: (outcome: HelloOutcome) => void): void {
  let bytes: Buffer = Buffer.alloc(0);
  const finish = (outcome: HelloOutcome): void => {
    clearTimeout(timer);
    socket.off("readable", onReadable);
    socket.off("error", onClosed);
    socket.off("end", onClosed);
    socket.off("close", onClosed);
    done(outcome);
  };
  const onClosed = (): void => finish({ kind: "closed" });
  const onReadable = (): void => {
    const pieces = [bytes];
    let piece = socket.read() as Buffer | null;
    while (piece !== null) {
      pieces.push(piece);
      piece = socket.read() as Buffer | null;
    }
    if (pieces.length === 1) return;
    bytes = Buffer.concat(pieces);
    const peek = peekClientHello(bytes);
    if (peek.kind === "hello") {
      socket.unshift(bytes);
      finish(peek);
    } else if (peek.kind === "not-tls") {
      socket.unshift(bytes);
      finish({ kind: "not_tls" });
    } else if (peek.kind === "malformed" || bytes.length >= MAX_HELLO_BYTES) {
      finish({ kind: "malformed_hello" });
    }
  };
  const timer = setTimeout(() => finish({ kind: "timeout" }), timeoutMs);
  socket.on("readable", onReadable);
  socket.on("error", onClosed);
  socket.on("end", onClosed);
  socket.on("close", onClosed);
}
