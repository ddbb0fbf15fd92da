import type { Endpoint } from "../endpoints/endpoint.ts";
import { dial, type DialOutcome } from "./dial.ts";
import type { ProbeFailure } from "./failure.ts";
import type { Offer } from "./offer.ts";
import { PROXY_HEADERS } from "./preface.ts";
import { agreed, type Attempt, findDisagreement } from "./wider.ts";

export interface Redialled {
  readonly failures: readonly ProbeFailure[];
  /** What the peer took once more was offered. */
  readonly takes: string | null;
  /** What it presented then, DER. */
  readonly chain: readonly Buffer[] | null;
}

/** Dials again, with more on offer or with a PROXY header, to tell what one alert or a silent end may all mean. */
export async function whyNotAgreed(
  {
    endpoint,
    offer,
    timeoutMs,
  }: { readonly endpoint: Endpoint; readonly offer: Offer; readonly timeoutMs: number },
  { transcript, ended }: DialOutcome,
  failure: ProbeFailure,
): Promise<Redialled> {
  const attempt: Attempt = (wider) =>
    dial(endpoint, wider, { timeoutMs: Math.min(timeoutMs, ATTEMPT_MS), settleMs: 0 });
  // Nothing was said at all: OpenSSL does not take what it was to offer.
  if (transcript.clientHello === null) return as({ ...failure, step: "credential" });
  if (failure.reason === "plaintext_peer" || CLEAR.has(failure.reason)) return as(failure);
  const saidNothing = transcript.serverHello === null && transcript.alerts.every(({ by }) => by === "client");
  if (saidNothing && ended !== null && offer.preface === undefined)
    for (const { version, bytes } of PROXY_HEADERS)
      if (agreed(await attempt({ ...offer, certificate: null, preface: bytes })))
        return as({
          reason: "proxy_header_expected",
          step: "hello",
          says: `${failure.says}; with a PROXY header (version ${version}) before it, the peer answers`,
        });
  // A peer that keeps still keeps still for longer.
  if (ended === "timeout") return as(failure);
  const { disagreements, chain } = await findDisagreement(offer, transcript.clientHello, attempt);
  const [first] = disagreements;
  if (first === undefined) return as(failure);
  return {
    failures: disagreements.map(({ reason, says }) => ({
      reason,
      step: "hello",
      says: `${says} (${failure.says})`,
    })),
    takes: first.takes,
    chain,
  };
}

function as(failure: ProbeFailure): Redialled {
  return { failures: [failure], takes: null, chain: null };
}

const ATTEMPT_MS = 3000;
/** What an alert says outright. */
const CLEAR = new Set<ProbeFailure["reason"]>(["alpn_mismatch", "sni_unknown"]);
