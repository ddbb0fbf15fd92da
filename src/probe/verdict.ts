import { HANDSHAKE_REASONS, type HandshakeReason } from "../diagnostics/handshake.ts";
import type { ProbeFailure } from "./failure.ts";
import type { Change, Verdict } from "./report.ts";

/** The first of the failures decides; the others are told besides, each reason once. */
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
  const { is, remedy } = HANDSHAKE_REASONS[first.reason];
  const told = new Set<HandshakeReason>([first.reason]);
  const also = others.filter(({ reason }) => !told.has(reason) && told.add(reason));
  return {
    good: false,
    reason: first.reason,
    step: first.step,
    says: first.says,
    is,
    remedy,
    change: failures
      .filter(({ reason }, index) => failures.findIndex((other) => other.reason === reason) === index)
      .flatMap(changesFor),
    also: also.map(({ reason, says }) => ({ reason, says })),
    notes,
  };
}
