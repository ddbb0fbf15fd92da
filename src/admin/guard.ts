import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { STYLE } from "./style.ts";

export interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Why a request is not answered, or null. `loopback`: the server is bound to it, so only this machine's names mean us. */
export function refusal(request: IncomingMessage, loopback: boolean): Refusal | null {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, message: "the admin port is read only", headers: { allow: "GET, HEAD" } };
  }
  // A page elsewhere can point its own name at 127.0.0.1 and have a browser on this machine read us (DNS rebinding): such
  // a request carries that name.
  if (loopback && !isLoopback(hostOf(request.headers.host ?? ""))) {
    return { status: 403, message: "the Host header must name the loopback address", headers: {} };
  }
  return null;
}

/** An address or name that means this machine only. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return (
    name === "localhost" ||
    name === "::1" ||
    (isIP(name) === 4 && name.startsWith("127.")) ||
    /^::ffff:127\.\d+\.\d+\.\d+$/.test(name)
  );
}

function hostOf(header: string): string {
  const found = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header);
  return found?.[1] ?? found?.[2] ?? "";
}

/** Pages load nothing, run nothing and are framed nowhere; other sites' pages may not read them. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy":
    `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; ` +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};
