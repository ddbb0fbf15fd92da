import type { Credential } from "../credentials/credential.ts";
import type { Endpoint } from "../endpoints/endpoint.ts";
import { addressText } from "../model/address.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import type { PeerExpectation } from "../x509/verify.ts";
import type { ProbeContext } from "./context.ts";
import { dial, type DialOutcome } from "./dial.ts";
import { failureOf, type ProbeFailure } from "./failure.ts";
import { type Check, type Judgement, judgePeer } from "./judge.ts";
import type { Offer } from "./offer.ts";
import type { Asked, NegotiatedReport, Offered, Step } from "./report.ts";
import {
  acceptedStep,
  alpnStep,
  askedIn,
  certificateStep,
  checksStep,
  helloStep,
  negotiatedIn,
  offeredIn,
  offerStep,
  presentedIn,
  presentedStep,
  requestStep,
} from "./steps.ts";
import { whyNotAgreed } from "./redial.ts";
import { agreed } from "./wider.ts";

/** One handshake to be made and explained. */
export interface HandshakeQuestion {
  readonly endpoint: Endpoint;
  readonly offer: Offer;
  readonly expected: PeerExpectation;
  /** False: the gateway checks nothing here, and what is wrong is only said. */
  readonly verified: boolean;
  readonly credential: Pick<Credential, "facts"> | undefined;
  /** Host header of a request that is sent at the end. */
  readonly host: string;
  readonly timeoutMs: number;
}

/** What a handshake came to, step by step. */
export interface HandshakeParts {
  readonly outcome: DialOutcome;
  readonly steps: readonly Step[];
  readonly failures: readonly ProbeFailure[];
  readonly offered: Offered | null;
  readonly negotiated: NegotiatedReport | null;
  readonly asked: Asked | null;
  readonly certificates: readonly CertificateFacts[];
  readonly checks: readonly Check[];
  readonly presented: readonly CertificateFacts[];
  readonly accepted: boolean | null;
  /** What the peer took once more was offered. */
  readonly takes: string | null;
}

/** Makes one handshake as the gateway would, and says step by step how it went. `unconnected`: there was no connection to make it on. */
export async function explainHandshake(
  question: HandshakeQuestion,
  context: ProbeContext,
): Promise<HandshakeParts | { readonly unconnected: ProbeFailure }> {
  const { endpoint, offer, expected, verified, timeoutMs } = question;
  const judge: Judge = (chain) => judgePeer(chain, expected, context.now, !verified);
  const outcome = await dial(endpoint, offer, {
    timeoutMs,
    settleMs: context.settleMs,
    // Nobody but a peer that is verified and found good gets to read a request.
    request: ({ serverChain }) =>
      verified && serverChain !== null && judge(serverChain).faults.length === 0
        ? requestOf(question, context)
        : null,
  });
  const ended = failureOf(outcome);
  if (outcome.stage === "connecting")
    return { unconnected: ended ?? { reason: "connect_failed", step: "connect", says: "no connection" } };
  const offered = offeredIn(outcome.transcript);
  const begun = [connectStep(outcome), ...(offered === null ? [] : [offerStep(offered)])];
  // Up to TLS 1.2 a peer may choose a version that was not offered, and show its certificate before we end it.
  const found =
    ended !== null && (!agreed(outcome) || ended.reason === "no_common_version")
      ? await disagreement(question, outcome, ended, judge, context)
      : await agreement(question, outcome, ended, judge, context);
  return { ...found, outcome, offered, steps: [...begun, ...found.steps] };
}

type Judge = (chain: readonly Buffer[]) => Judgement;
type Found = Omit<HandshakeParts, "outcome" | "offered">;

/** The peer took nothing of the offer: what it takes, and what it presents then, is asked anew. */
async function disagreement(
  question: HandshakeQuestion,
  outcome: DialOutcome,
  ended: ProbeFailure,
  judge: Judge,
  context: ProbeContext,
): Promise<Found> {
  const found = await whyNotAgreed(question, outcome, ended);
  const seen = found.chain === null ? null : judge(found.chain);
  // Nobody agrees on a signature with a key that is too weak for any.
  const weak = (seen?.faults ?? []).filter(({ fault }) => fault === "key_weak");
  const failures = [
    ...weak.map(({ fault, says }) => ({ reason: fault, step: "hello" as const, says })),
    ...found.failures,
  ];
  return {
    steps: [
      ...failures.slice(0, 1).map(failedStep),
      ...(seen === null ? [] : [seenStep(certificateStep(seen, context.now))]),
    ],
    failures,
    negotiated: null,
    asked: null,
    certificates: seen?.certificates ?? [],
    checks: seen?.checks ?? [],
    presented: [],
    accepted: null,
    takes: found.takes,
  };
}

/** Both spoke of the same, and certificates were shown: judged, and whether the peer has taken ours. */
async function agreement(
  question: HandshakeQuestion,
  outcome: DialOutcome,
  ended: ProbeFailure | null,
  judge: Judge,
  context: ProbeContext,
): Promise<Found> {
  const { offer, verified, credential } = question;
  const { transcript } = outcome;
  const steps: Step[] = [];
  const failures: ProbeFailure[] = [];
  const negotiated = negotiatedIn(outcome);
  const asked = askedIn(transcript);
  if (negotiated !== null) steps.push(helloStep(negotiated, transcript));
  steps.push(requestStep(asked));
  const judgement = judge(transcript.serverChain ?? []);
  steps.push(certificateStep(judgement, context.now), checksStep(judgement, verified));
  if (verified)
    failures.push(
      ...judgement.faults.map(({ fault, says }) => ({ reason: fault, step: "checks" as const, says })),
    );
  const presented = presentedIn(transcript);
  const told = ended !== null ? false : acceptedBy(outcome);
  const inTls12 = told === null && failures.length === 0 && (await isTakenInTls12(question));
  const accepted = inTls12 ? true : told;
  if (ended === null || ended.step === "accepted") {
    steps.push(presentedStep(presented, credential, asked, transcript));
    if (ended === null) steps.push(acceptedStep(outcome, asked, accepted, inTls12, context.settleMs));
  }
  if (ended !== null) {
    failures.push(refined(ended, credential, presented, asked));
    steps.push(failedStep(ended));
  } else steps.push(alpnStep(offer.alpn, outcome));
  const resumes = failures.length > 0 ? null : await isResumed(question, outcome);
  if (resumes !== null) steps.push(resumptionStep(resumes));
  return {
    steps,
    failures,
    negotiated: negotiated === null ? null : { ...negotiated, resumes },
    asked,
    certificates: judgement.certificates,
    checks: judgement.checks,
    presented,
    accepted,
    takes: null,
  };
}

/** Whether a second handshake resumes the session of the first; null: there is none to resume. */
async function isResumed(
  { endpoint, offer, timeoutMs }: HandshakeQuestion,
  { session }: DialOutcome,
): Promise<boolean | null> {
  if (session === null) return null;
  const again = await dial(endpoint, offer, { timeoutMs, settleMs: 0, session });
  return again.negotiated?.resumed ?? false;
}

function resumptionStep(resumes: boolean): Step {
  const says = resumes
    ? "a second handshake resumes the session"
    : "the session is not resumed: each handshake is a full one";
  return { step: "resumption", status: "ok", says, details: [] };
}

function failedStep({ step, says }: ProbeFailure): Step {
  return { step, status: "failed", says, details: [] };
}

/** Of a connection that was made to find out, and not as the gateway would have made it. */
function seenStep({ step, says, details }: Step): Step {
  return { step, status: "warning", says: `${says}, as it shows once more is offered`, details };
}

function connectStep({ endpoint: { address, port }, connectedMs }: DialOutcome): Step {
  return {
    step: "connect",
    status: "ok",
    says: `${addressText(address, port)} in ${Math.max(1, Math.round(connectedMs ?? 0))} ms`,
    details: [],
  };
}

function requestOf({ host }: HandshakeQuestion, { request }: ProbeContext): Buffer | null {
  if (request === null) return null;
  const { method, path } = request;
  return Buffer.from(
    `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nuser-agent: credence-probe\r\nconnection: close\r\n\r\n`,
    "latin1",
  );
}

/** Up to TLS 1.2 the server has looked before it is done; in TLS 1.3 a ticket or an answer says that it has. */
function acceptedBy({ transcript, negotiated, response }: DialOutcome): boolean | null {
  if (transcript.request === null || negotiated?.protocol !== "TLS 1.3") return true;
  return transcript.tickets > 0 || response !== null ? true : null;
}

/** Envoy for one gives TLS 1.3 clients no sign. Only asked about a peer that was found good, or that nobody verifies. */
async function isTakenInTls12({ endpoint, offer, timeoutMs }: HandshakeQuestion): Promise<boolean> {
  const { parameters } = offer;
  if (parameters.minVersion === "v1.3") return false;
  const older = { ...offer, parameters: { ...parameters, maxVersion: "v1.2" as const } };
  const { negotiated, transcript } = await dial(endpoint, older, { timeoutMs, settleMs: 0 });
  return negotiated !== null && transcript.request !== null;
}

/** A server sees a client that shows nothing; why it does not, we know. */
function refined(
  failure: ProbeFailure,
  credential: HandshakeQuestion["credential"],
  presented: readonly CertificateFacts[],
  asked: Asked | null,
): ProbeFailure {
  const keptBack = credential !== undefined && presented.length === 0 && asked !== null;
  if (failure.reason !== "client_certificate_missing" || !keptBack) return failure;
  return {
    ...failure,
    reason: "no_common_signature",
    says: `our key (${credential.facts[0]?.keyType}) fits none of the signature algorithms that the peer asks for, so no certificate was sent`,
  };
}
