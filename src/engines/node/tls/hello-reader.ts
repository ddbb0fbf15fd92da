import type { Socket } from "node:net";
import { type Peek, peek } from "../peek.ts";
import { MAX_HELLO_BYTES, peekClientHello } from "./client-hello.ts";

export type HelloOutcome =
  /** With these two everything read is back in the socket, for whoever goes on with it. */
  | { readonly kind: "hello"; readonly serverName: string | null }
  | { readonly kind: "not_tls" }
  | { readonly kind: "malformed_hello" | "timeout" | "closed" };

/** Waits for the whole ClientHello, bounded in bytes and time, and calls `done` once. */
export function readHello(socket: Socket, timeoutMs: number, done: (outcome: HelloOutcome) => void): void {
  peek(socket, timeoutMs, helloIn(socket), done);
}

function helloIn(socket: Socket): Peek<HelloOutcome> {
  return {
    judge(bytes) {
      const found = peekClientHello(bytes);
      if (found.kind === "hello" || found.kind === "not-tls") {
        socket.unshift(bytes);
        return found.kind === "hello" ? found : { kind: "not_tls" };
      }
      const isRefused = found.kind === "malformed" || bytes.length >= MAX_HELLO_BYTES;
      return isRefused ? { kind: "malformed_hello" } : null;
    },
    onTimeout: () => ({ kind: "timeout" }),
    onClosed: () => ({ kind: "closed" }),
  };
}
