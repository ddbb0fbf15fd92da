import type { Socket } from "node:net";
import { peek } from "../peek.ts";
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from "./header.ts";

export type ProxyHeaderOutcome =
  /** The header is consumed; what followed it is back in the socket. */
  | { readonly kind: "header"; readonly source: string | null }
  | { readonly kind: "refused"; readonly cause: string };

/** Waits for the whole PROXY header, bounded in bytes and time, and calls `done` once. */
export function readProxyHeader(
  socket: Socket,
  timeoutMs: number,
  done: (outcome: ProxyHeaderOutcome) => void,
): void {
  const refused = (cause: string): ProxyHeaderOutcome => ({ kind: "refused", cause });
  peek<ProxyHeaderOutcome>(
    socket,
    timeoutMs,
    {
      judge(bytes) {
        const header = parseProxyHeader(bytes);
        if (header.kind === "invalid") return refused(header.cause);
        if (header.kind === "header") {
          if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length));
          return header;
        }
        return bytes.length > MAX_PROXY_HEADER_BYTES
          ? refused(`more than ${MAX_PROXY_HEADER_BYTES} bytes`)
          : null;
      },
      onTimeout: () => refused(`not whole within ${timeoutMs} ms`),
      onClosed: () => refused("closed before the header was whole"),
    },
    done,
  );
}
