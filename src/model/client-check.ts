import type { ClientAuth } from "./tls.ts";

/**
 * Whether a handshake that was held to one client check was held to at least what another asks for: then its connection may
 * be used for that host too (RFC 9110 §15.5.20). Rules that differ are not weighed against each other.
 */
export function holdsTo(held: ClientAuth, wanted: ClientAuth): boolean {
  if (wanted.mode === "none") return true;
  return (
    held.mode !== "none" &&
    held.trust === wanted.trust &&
    (held.mode === "required" || wanted.mode === "optional") &&
    (wanted.rules === undefined ||
      held.rules === wanted.rules ||
      JSON.stringify(held.rules) === JSON.stringify(wanted.rules))
  );
}
