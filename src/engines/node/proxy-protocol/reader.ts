import type { Socket } from "node:net";
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from "./header.ts";

export type ProxyHeaderOutcome =
  /** The header is consumed; what followed it is back in the socket. */
  | { readonly kind: "header"; readonly source: string | null }
  | { readonly kind: "refused"; readonly cause: string };

/**
 * Waits for the whole PROXY header, bounded in bytes and time, and calls `done` once. From then on the socket and its
 * errors are the caller's.
 */
export function readProxyHeader(
  socket: Socket,
  timeoutMs: number,
  done: (outcome: ProxyHeaderOutcome) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const finish = (outcome: ProxyHeaderOutcome): void => {
    clearTimeout(timer);
    socket.off("readable", onReadable);
    socket.off("error", onClosed);
    socket.off("end", onClosed);
    socket.off("close", onClosed);
    done(outcome);
  };
  const refuse = (cause: string): void => finish({ kind: "refused", cause });
  const onClosed = (): void => refuse("closed before the header was whole");
  const onReadable = (): void => {
    const pieces = [bytes];
    for (let piece = socket.read(); piece !== null; piece = socket.read()) pieces.push(piece as Buffer);
    if (pieces.length === 1) return;
    bytes = Buffer.concat(pieces);
    const header = parseProxyHeader(bytes);
    if (header.kind === "invalid") refuse(header.cause);
    else if (header.kind === "header") {
      if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length));
      finish(header);
    } else if (bytes.length > MAX_PROXY_HEADER_BYTES) refuse(`more than ${MAX_PROXY_HEADER_BYTES} bytes`);
  };
  const timer = setTimeout(() => refuse(`not whole within ${timeoutMs} ms`), timeoutMs);
  socket.on("readable", onReadable);
  socket.on("error", onClosed);
  socket.on("end", onClosed);
  socket.on("close", onClosed);
}
