import type { CorsPolicy } from "../../model/route.ts";
import type { FieldLines } from "./http1/fields.ts";
import { headerValue } from "./route-match.ts";

/** Whether an origin is one of the policy's; `*` is any (reference §2.5.2: exact texts only). */
export function allowsOrigin(policy: CorsPolicy, origin: string): boolean {
  return policy.origins.some((allowed) => allowed === "*" || allowed === origin);
}

/** The Origin of a request, null where it has none, or not exactly one. */
export function originOf(fields: FieldLines): string | null {
  return headerValue(fields, "origin");
}

/** A preflight is an OPTIONS that names the method to come (Fetch standard, "CORS-preflight request"). */
export function isPreflight(method: string, fields: FieldLines): boolean {
  return method === "OPTIONS" && headerValue(fields, "access-control-request-method") !== null;
}

/** Lines that answer a preflight of an allowed origin. */
export function preflightLines(policy: CorsPolicy, origin: string): string {
  let lines = originLines(policy, origin);
  if (policy.methods !== undefined) lines += `access-control-allow-methods: ${policy.methods}\r\n`;
  if (policy.headers !== undefined) lines += `access-control-allow-headers: ${policy.headers}\r\n`;
  if (policy.maxAgeSeconds !== undefined) lines += `access-control-max-age: ${policy.maxAgeSeconds}\r\n`;
  return lines;
}

/** Lines that a response to an allowed origin gets. */
export function responseLines(policy: CorsPolicy, origin: string): string {
  const exposed =
    policy.exposedHeaders === undefined ? "" : `access-control-expose-headers: ${policy.exposedHeaders}\r\n`;
  return originLines(policy, origin) + exposed;
}

/** What an upstream says of these is replaced: two values of one would make browsers refuse both. */
export const CORS_FIELDS: readonly string[] = [
  "access-control-allow-credentials",
  "access-control-allow-origin",
  "access-control-expose-headers",
];

function originLines(policy: CorsPolicy, origin: string): string {
  const credentials = policy.credentials ? "access-control-allow-credentials: true\r\n" : "";
  // The answer depends on who asks: a cache may not give it to another (Fetch standard, "CORS protocol and HTTP caches").
  return `access-control-allow-origin: ${origin}\r\n${credentials}vary: Origin\r\n`;
}
