import type { HandshakeReason } from "../diagnostics/handshake.ts";
import { reasonOfCode } from "../diagnostics/openssl.ts";
import type { DialOutcome } from "./dial.ts";
import { printable } from "./printable.ts";
import { alertName } from "./wire/names.ts";
import type { Transcript } from "./wire/transcript.ts";

/** The parts of a probe, in the order in which they are made and shown. */
const STEPS = [
  "credential",
  // On the client's side of a listener: how the gateway judges what the client shows.
  "client",
  "dns",
  "connect",
  "offer",
  "hello",
  "request",
  "certificate",
  "checks",
  "presented",
  "accepted",
  "alpn",
  "resumption",
] as const;

export type StepName = (typeof STEPS)[number];

/** Why a connection came to nothing, and at which step. */
export interface ProbeFailure {
  readonly reason: HandshakeReason;
  readonly step: StepName;
  /** One sentence: what was seen. */
  readonly says: string;
}

/** What ended a dial; null: the handshake was done, and nobody objected afterwards. */
export function failureOf(outcome: DialOutcome): ProbeFailure | null {
  const { stage, transcript, error, ended, timeoutMs } = outcome;
  if (stage === "connecting") return connectFailure(outcome);
  const { notTls } = transcript;
  if (notTls !== null)
    return {
      reason: "plaintext_peer",
      step: "hello",
      says: `it answered in cleartext: ${printable(notTls.toString("latin1"))}`,
    };
  const alert = transcript.alerts.find(({ by }) => by === "server");
  const step = stepOf(transcript, stage);
  const presented = (transcript.clientChain ?? []).length > 0;
  if (alert !== undefined && alert.code !== CLOSE_NOTIFY) {
    const says = `the peer ended it ${STEP_TEXT[step]} with the alert "${alertName(alert.code)}" (${alert.code})`;
    return { reason: reasonOfAlert(alert.code, error?.code ?? "", transcript, presented), step, says };
  }
  if (outcome.response !== null) return refusedInAnswer(outcome.response, transcript, presented);
  if (stage === "open" && ended === null && error === null) return null;
  // In TLS 1.3 we are done before the server has looked at our certificate, and some have no alert for what they see.
  if (asked(transcript) && hasAnswered(transcript) && (ended === "closed" || ended === "reset"))
    return {
      reason: presented ? "client_certificate_refused" : "client_certificate_missing",
      step: "accepted",
      says: `the peer ${ended === "reset" ? "reset" : "closed"} the connection ${presented ? "after it was shown our certificate" : "as it was shown no certificate"}, without an alert`,
    };
  if (stage === "open" && error === null) return null;
  if (ended === "timeout")
    return {
      reason: "handshake_timeout",
      step,
      says: `nothing more came ${STEP_TEXT[step]} within ${timeoutMs} ms`,
    };
  if (ended === "reset")
    return { reason: "handshake_reset", step, says: `the peer reset the connection ${STEP_TEXT[step]}` };
  if (ended === "closed")
    return { reason: "handshake_closed", step, says: `the peer closed the connection ${STEP_TEXT[step]}` };
  const code = error?.code ?? "";
  // What OpenSSL finds in a signature by another key has many names, and one alert.
  if (transcript.alerts.some(({ by, code: ours }) => by === "client" && ours === DECRYPT_ERROR))
    return {
      reason: "key_mismatch",
      step,
      says: `the peer signs with a key that is not that of the certificate it shows (${opensslText(error?.message ?? "", code)})`,
    };
  return {
    reason: reasonOfCode(code, { side: "client", presented }) ?? "handshake_failed",
    step,
    says: `OpenSSL objects ${STEP_TEXT[step]}: ${opensslText(error?.message ?? "", code)}`,
  };
}

/** nginx makes the handshake with whoever comes, and tells a client of its certificate in an answer of its own. */
function refusedInAnswer(response: string, { request }: Transcript, presented: boolean): ProbeFailure | null {
  const [head = "", body = ""] = response.split("\r\n\r\n", 2);
  const words = /[^<>\r\n]*\bcertificate\b[^<>\r\n]*/i.exec(body)?.[0];
  if (request === null || words === undefined || !/^HTTP\/1\.[01] 4\d\d /.test(head)) return null;
  return {
    reason: presented ? "client_certificate_refused" : "client_certificate_missing",
    step: "accepted",
    says: `the handshake is done, and the request is answered with ${printable(head)}: ${printable(words)}`,
  };
}

/** OpenSSL's reason without its addresses and source files. */
function opensslText(message: string, code: string): string {
  const parts = message.trim().split(":");
  return parts[1] === "error" && parts[5] !== undefined ? parts[5] : code || message;
}

const CLOSE_NOTIFY = 0;
const DECRYPT_ERROR = 51;

function connectFailure({ error, ended, endpoint, timeoutMs }: DialOutcome): ProbeFailure {
  const code = error?.code ?? "";
  const where = `${endpoint.address} port ${endpoint.port}`;
  if (ended === "timeout")
    return {
      reason: "connect_timeout",
      step: "connect",
      says: `no answer from ${where} within ${timeoutMs} ms`,
    };
  if (code === "ETIMEDOUT")
    return { reason: "connect_timeout", step: "connect", says: `no answer from ${where}` };
  if (code === "ECONNREFUSED")
    return { reason: "connect_refused", step: "connect", says: `${where} refuses connections` };
  return {
    reason: "connect_failed",
    step: "connect",
    says: `${where}: ${code || (error?.message ?? "closed")}`,
  };
}

/** The step that was not finished. */
function stepOf({ serverHello, serverChain, serverFinished, request }: Transcript, stage: string): StepName {
  if (serverHello === null) return "hello";
  if (stage === "open") return "accepted";
  if (serverChain === null && !serverFinished) return "hello";
  return request === null ? "checks" : "accepted";
}

const STEP_TEXT: Readonly<Partial<Record<StepName, string>>> = {
  hello: "after our ClientHello",
  checks: "after its certificate",
  accepted: "after our side of the handshake",
};

function asked({ request }: Transcript): boolean {
  return request !== null;
}

/** We have said all that a client says: whatever the peer does now is its answer. */
function hasAnswered({ clientFinished, tickets }: Transcript): boolean {
  return clientFinished && tickets === 0;
}

/** An alert says little by itself; what had been said before it tells more. */
function reasonOfAlert(
  alert: number,
  code: string,
  transcript: Transcript,
  presented: boolean,
): HandshakeReason {
  const known = reasonOfCode(code, { side: "client", presented });
  const certificateWanted = transcript.request !== null && transcript.clientFinished;
  const isVague = alert === 40 || known === null || known === "handshake_failed";
  if (certificateWanted && isVague)
    return presented ? "client_certificate_refused" : "client_certificate_missing";
  return known ?? "handshake_failed";
}
