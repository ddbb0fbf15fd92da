import { explainClient, HANDSHAKE_REASONS, type HandshakeReason } from "../diagnostics/handshake.ts";
import type { ProbeFailure } from "./failure.ts";
import type { Change, Verdict } from "./report.ts";

/** The first of the failures decides; the others are told besides, each reason once and with what mends it. */
export function verdictOf(
  failures: readonly ProbeFailure[],
  changesFor: (failure: ProbeFailure) => readonly Change[],
  notes: readonly string[],
  good: string,
): Verdict {
  const [first, ...others] = failures;
  if (first === undefined)
    return {
      good: true,
      reason: null,
      step: null,
      says: good,
      is: null,
      remedy: null,
      change: [],
      also: [],
      notes,
    };
  const { is, remedy } =
    first.step === "client" ? explainClient(first.reason) : HANDSHAKE_REASONS[first.reason];
  const told = new Set<HandshakeReason>([first.reason]);
  const also = others.filter(({ reason }) => !told.has(reason) && told.add(reason));
  return {
    good: false,
    reason: first.reason,
    step: first.step,
    says: first.says,
    is,
    remedy: REMEDIES_HERE[first.reason] ?? remedy,
    change: changesFor(first),
    also: also.map((failure) => ({
      reason: failure.reason,
      says: failure.says,
      change: changesFor(failure),
    })),
    notes,
  };
}

/** Of reasons whose remedy is to run this. */
const REMEDIES_HERE: Readonly<Partial<Record<HandshakeReason, string>>> = {
  no_agreement:
    "All that OpenSSL has was offered as well, and did not help: the peer's log says what it wants.",
  handshake_closed: "The peer's log says why.",
  handshake_reset: "Look for a firewall or a crashing peer.",
  handshake_timeout: "Look at the peer's load and the network.",
  handshake_failed: "Look at the peer's log, and at what is between here and there.",
};
