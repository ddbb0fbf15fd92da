import type { FailureReason } from "../../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import { alertOf, reasonOfCode } from "../../../diagnostics/openssl.ts";
import type { CertificateFault } from "../../../x509/faults.ts";

/** Why dialling or using an upstream connection failed: a reason of the closed list and the detail for the operator. */
export interface UpstreamFailure {
  readonly reason: FailureReason;
  readonly cause: string;
  /** Where it was the handshake, or what comes before it. */
  readonly handshake?: HandshakeReason;
}

/** How far a connection had come when it failed: the same errno means something else before and after. */
export type Phase = "connecting" | "handshaking" | "open";

/** What our own check says of the peer's certificate. */
export class PeerFault extends Error {
  readonly fault: CertificateFault;

  constructor(fault: CertificateFault, message: string) {
    super(message);
    this.name = "PeerFault";
    this.fault = fault;
  }
}

/** `presented`: the peer was shown a certificate of ours. */
export function classify(
  error: Error & { code?: string; syscall?: string },
  phase: Phase,
  presented: boolean,
): UpstreamFailure {
  const code = error.code ?? "";
  if (error instanceof PeerFault)
    return { reason: reasonOf(error.fault), cause: error.message, handshake: error.fault };
  if (phase === "connecting") return connectFailure(code, error);
  const handshake = reasonOfCode(code, { side: "client", presented });
  const alert = alertOf(code);
  // In TLS 1.3 what the peer has against our certificate arrives after our side of the handshake is done.
  if (handshake === "client_certificate_refused" || handshake === "client_certificate_missing")
    return { reason: "client_certificate_refused", cause: `TLS alert: ${alert}`, handshake };
  if (code === "ECONNRESET" || code === "EPIPE") return closedEarly(code, error, phase);
  if (phase === "open")
    return {
      reason: "upstream_reset",
      cause: alert === null ? code || error.message : `TLS alert: ${alert}`,
    };
  if (code === "ETIMEDOUT") return { ...TIMED_OUT, cause: `${code} during the TLS handshake` };
  if (handshake !== null) {
    const cause = alert === null ? code : `TLS alert: ${alert}`;
    if (handshake !== "plaintext_peer") return { reason: reasonOf(handshake), cause, handshake };
    return {
      reason: reasonOf(handshake),
      cause: `${cause}: the peer does not speak TLS on this port`,
      handshake,
    };
  }
  // What OpenSSL found and Node has no name for, e.g. "EE certificate key too weak".
  if (code === "UNSPECIFIED")
    return {
      reason: "upstream_certificate_untrusted",
      cause: error.message,
      handshake: byMessage(error.message),
    };
  return {
    reason: "upstream_tls_handshake_failed",
    cause: code || error.message,
    handshake: "handshake_failed",
  };
}

/** The coarse reason of requests for one of handshakes. */
function reasonOf(handshake: HandshakeReason): FailureReason {
  return COARSE[handshake] ?? "upstream_tls_handshake_failed";
}

const UNTRUSTED = "upstream_certificate_untrusted";
const COARSE: Readonly<Partial<Record<HandshakeReason, FailureReason>>> = {
  certificate_expired: "upstream_certificate_expired",
  certificate_not_yet_valid: "upstream_certificate_expired",
  name_mismatch: "upstream_certificate_name_mismatch",
  spiffe_id_mismatch: "upstream_certificate_name_mismatch",
  pin_mismatch: UNTRUSTED,
  issuer_unknown: UNTRUSTED,
  intermediate_missing: UNTRUSTED,
  self_signed_leaf: UNTRUSTED,
  purpose_wrong: UNTRUSTED,
  issuer_not_ca: UNTRUSTED,
  path_too_long: UNTRUSTED,
  chain_too_deep: UNTRUSTED,
  name_constraint: UNTRUSTED,
  critical_extension_unknown: UNTRUSTED,
  key_weak: UNTRUSTED,
  signature_weak: UNTRUSTED,
  signature_invalid: UNTRUSTED,
  revoked: UNTRUSTED,
  crl_missing: UNTRUSTED,
  crl_stale: UNTRUSTED,
  certificate_malformed: UNTRUSTED,
};

/** X509_V_ERR texts. */
function byMessage(message: string): HandshakeReason {
  return MESSAGES.find(([pattern]) => pattern.test(message))?.[1] ?? "handshake_failed";
}

const MESSAGES: readonly (readonly [RegExp, HandshakeReason])[] = [
  [/key too weak/i, "key_weak"],
  [/(?:md|digest|signature).*too weak/i, "signature_weak"],
  [/critical extension/i, "critical_extension_unknown"],
  [/permitted subtree|excluded subtree|name constraint/i, "name_constraint"],
  [/purpose/i, "purpose_wrong"],
  [/CA|basic constraints/i, "issuer_not_ca"],
];

function connectFailure(code: string, error: Error): UpstreamFailure {
  if (code === "ECONNREFUSED")
    return { reason: "upstream_connect_refused", cause: code, handshake: "connect_refused" };
  if (code === "ETIMEDOUT")
    return { reason: "upstream_connect_timeout", cause: code, handshake: "connect_timeout" };
  return { reason: "upstream_connect_failed", cause: code || error.message, handshake: "connect_failed" };
}

function closedEarly(code: string, error: Error & { syscall?: string }, phase: Phase): UpstreamFailure {
  if (phase === "open") return { reason: "upstream_reset", cause: code };
  // Node says ECONNRESET of a FIN during the handshake as well, but no system call failed then.
  return error.syscall === undefined
    ? {
        reason: "upstream_tls_handshake_failed",
        cause: "closed by the upstream during the TLS handshake",
        handshake: "handshake_closed",
      }
    : { reason: "upstream_reset", cause: `${code} during the TLS handshake`, handshake: "handshake_reset" };
}

const TIMED_OUT = { reason: "upstream_connect_timeout", handshake: "handshake_timeout" } as const;
