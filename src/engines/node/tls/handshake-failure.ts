import { Socket } from "node:net";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import { reasonOfCode } from "../../../diagnostics/openssl.ts";
import type { HelloOutcome } from "./hello-reader.ts";

/** What an error of Node's TLS says of a client's handshake. */
export function failureOf(error: NodeJS.ErrnoException): HandshakeReason {
  const { code = "", syscall } = error;
  // Node says ECONNRESET where the client goes away in due form as well, but no system call failed then.
  if (code === "ECONNRESET" || code === "EPIPE")
    return syscall === undefined ? "handshake_closed" : "handshake_reset";
  return reasonOfCode(code, { side: "server", presented: true }) ?? "handshake_failed";
}

/** Passes through Node from SNICallback to `tlsClientError`. */
export class RefusedHandshake extends Error {
  readonly failure: HandshakeReason;

  constructor(failure: HandshakeReason) {
    super(failure);
    this.failure = failure;
  }
}

/** Scanners and clients that go away are daily noise; what an operator can mend is not. */
export const NOISE: ReadonlySet<HandshakeReason> = new Set([
  "handshake_closed",
  "handshake_reset",
  "plaintext_peer",
]);

/** The socket under a TLSSocket, or the socket itself. Node keeps it there, which its documentation does not promise. */
export function rawOf(socket: Socket): Socket {
  const { _parent } = socket as { readonly _parent?: unknown };
  return _parent instanceof Socket ? _parent : socket;
}

/** Of what came instead of a ClientHello. */
export function failureOfHello(outcome: Exclude<HelloOutcome["kind"], "hello">): HandshakeReason {
  return HELLOS[outcome];
}

/** Answers in the clear, as no keys are agreed on yet, and closes: politely at first, then in any case. */
export function refuseWith(socket: Socket, answer: Buffer | string): void {
  const close = (): void => {
    socket.destroy();
  };
  const timer = setTimeout(close, LINGER_MS).unref();
  socket.on("error", close);
  socket.on("end", close);
  socket.on("close", () => clearTimeout(timer));
  // What is left unread would turn the close into a reset, and the answer would be lost with it.
  socket.resume();
  socket.end(answer);
}

/** Fatal alert records (RFC 8446 §6.2). */
export const UNRECOGNIZED_NAME: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 112]);
export const DECODE_ERROR: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 50]);

export const PLAINTEXT_ANSWER: string =
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 26\r\nconnection: close\r\n\r\nThis port speaks TLS only\n";

const LINGER_MS = 500;

const HELLOS = {
  not_tls: "plaintext_peer",
  malformed_hello: "handshake_failed",
  timeout: "handshake_timeout",
  closed: "handshake_closed",
} as const;
