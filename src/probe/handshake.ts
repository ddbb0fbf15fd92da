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

/** Null: no connection was made; `outcome` says why. */
export async function explainHandshake(
  question: HandshakeQuestion,
  context: ProbeContext,
): Promise<HandshakeParts | { readonly unconnected: ProbeFailure }> {
  const { endpoint, offer, expected, verified, credential, timeoutMs } = question;
  const judge = (chain: readonly Buffer[]): Judgement => judgePeer(chain, expected, context.now, !verified);
  const outcome = await dial(endpoint, offer, {
    timeoutMs,
    settleMs: context.settleMs,
    // Nobody but a peer that is verified and found good gets to read a request.
    request: ({ serverChain }) =>
      verified && serverChain !== null && judge(serverChain).faults.length === 0
        ? requestOf(question, context)
        : null,
  });
  const { transcript } = outcome;
  const ended = failureOf(outcome);
  if (outcome.stage === "connecting")
    return { unconnected: ended ?? { reason: "connect_failed", step: "connect", says: "no connection" } };
  const steps: Step[] = [connectStep(outcome)];
  const failures: ProbeFailure[] = [];
  const offered = offeredIn(transcript);
  if (offered !== null) steps.push(offerStep(offered));
  // Up to TLS 1.2 a peer may choose a version that was not offered, and show its certificate before we end it.
  if (ended !== null && (!agreed(outcome) || ended.reason === "no_common_version")) {
    const found = await whyNotAgreed(question, outcome, ended);
    const seen = found.chain === null ? null : judge(found.chain);
    // Nobody agrees on a signature with a key that is too weak for any.
    const weak = (seen?.faults ?? []).filter(({ fault }) => fault === "key_weak");
    failures.push(
      ...weak.map(({ fault, says }) => ({ reason: fault, step: "hello" as const, says })),
      ...found.failures,
    );
    steps.push(...failures.slice(0, 1).map(failedStep));
    if (seen !== null) steps.push(seenStep(certificateStep(seen, context.now)));
    return {
      outcome,
      steps,
      failures,
      offered,
      negotiated: null,
      asked: null,
      certificates: seen?.certificates ?? [],
      checks: seen?.checks ?? [],
      presented: [],
      accepted: null,
      takes: found.takes,
    };
  }
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
  let resumes: boolean | null = null;
  if (failures.length === 0 && outcome.session !== null) {
    const again = await dial(endpoint, offer, { timeoutMs, settleMs: 0, session: outcome.session });
    resumes = again.negotiated?.resumed ?? false;
    steps.push({
      step: "resumption",
      status: "ok",
      says: resumes
        ? "a second handshake resumes the session"
        : "the session is not resumed: each handshake is a full one",
      details: [],
    });
  }
  return {
    outcome,
    steps,
    failures,
    offered,
    negotiated: negotiated === null ? null : { ...negotiated, resumes },
    asked,
    certificates: judgement.certificates,
    checks: judgement.checks,
    presented,
    accepted,
    takes: null,
  };
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
