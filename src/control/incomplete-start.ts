/**
 * What becomes of a cold start with documents that cannot be read. `ready` and `not-ready` serve what is left. `withheld`: nothing is published until
 * all can be read, as those who wait for it may have all of it from before, and would lose what is missing.
 */
export type IncompleteStart = "ready" | "not-ready" | "withheld";

/** Why such a start is not ready; null: it is. */
export function notReadyFor(start: IncompleteStart): string | null {
  if (start === "ready") return null;
  return start === "withheld"
    ? `nothing is published, and Envoys keep what they have: ${UNREADABLE}`
    : UNREADABLE;
}

const UNREADABLE =
  "some documents could not be read at the start; see /ambassador/v0/diag/ (--allow-partial serves without them)";
