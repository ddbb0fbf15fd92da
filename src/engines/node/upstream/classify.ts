import type { FailureReason } from "../../../diagnostics/failure.ts";

/** Why dialling or using an upstream connection failed: a reason of the closed list and the detail for the operator. */
export interface UpstreamFailure {
  readonly reason: FailureReason;
  readonly cause: string;
}

/** How far a connection had come when it failed: the same errno means something else before and after. */
export type Phase = "connecting" | "handshaking" | "open";

/** The chain is good, but it was issued to somebody else. */
export class PeerNameError extends Error {
  constructor(expected: string, presented: readonly string[]) {
    super(
      `the certificate is not for ${expected}, it names ${presented.length === 0 ? "nobody (no subjectAltName)" : presented.join(", ")}`,
    );
    this.name = "PeerNameError";
  }
}

export function classify(error: Error & { code?: string; syscall?: string }, phase: Phase): UpstreamFailure {
  const code = error.code ?? "";
  if (error instanceof PeerNameError) {
    return { reason: "upstream_certificate_name_mismatch", cause: error.message };
  }
  const alert = ALERT.exec(code)?.[1]?.toLowerCase().replaceAll("_", " ");
  if (alert !== undefined && ALERTS_ABOUT_OUR_CERTIFICATE.has(alert)) {
    return { reason: "client_certificate_refused", cause: `TLS alert: ${alert}` };
  }
  if (phase === "connecting") return connectFailure(code, error);
  if (code === "ECONNRESET" || code === "EPIPE") return closedEarly(code, error, phase);
  if (phase === "open") {
    return {
      reason: "upstream_reset",
      cause: alert === undefined ? code || error.message : `TLS alert: ${alert}`,
    };
  }
  if (EXPIRED.has(code)) return { reason: "upstream_certificate_expired", cause: code };
  if (UNTRUSTED.has(code)) return { reason: "upstream_certificate_untrusted", cause: code };
  // What OpenSSL found and Node has no name for, e.g. "EE certificate key too weak".
  if (code === "UNSPECIFIED") return { reason: "upstream_certificate_untrusted", cause: error.message };
  if (code === "ETIMEDOUT")
    return { reason: "upstream_connect_timeout", cause: `${code} during the TLS handshake` };
  return { reason: "upstream_tls_handshake_failed", cause: handshakeCause(code, alert, error) };
}

function connectFailure(code: string, error: Error): UpstreamFailure {
  if (code === "ECONNREFUSED") return { reason: "upstream_connect_refused", cause: code };
  if (code === "ETIMEDOUT") return { reason: "upstream_connect_timeout", cause: code };
  return { reason: "upstream_connect_failed", cause: code || error.message };
}

function closedEarly(code: string, error: Error & { syscall?: string }, phase: Phase): UpstreamFailure {
  if (phase === "open") return { reason: "upstream_reset", cause: code };
  // Node says ECONNRESET of a FIN during the handshake as well, but no system call failed then.
  return error.syscall === undefined
    ? { reason: "upstream_tls_handshake_failed", cause: "closed by the upstream during the TLS handshake" }
    : { reason: "upstream_reset", cause: `${code} during the TLS handshake` };
}

function handshakeCause(code: string, alert: string | undefined, error: Error): string {
  if (alert !== undefined) return `TLS alert: ${alert}`;
  return NOT_TLS.has(code) ? `${code}: the peer does not speak TLS on this port` : code || error.message;
}

/** e.g. ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED, ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE. */
const ALERT = /^ERR_SSL_.*ALERT_(.+)$/;

/** RFC 8446 §6.2, as OpenSSL names them. In TLS 1.3 they arrive after our side of the handshake is done. */
const ALERTS_ABOUT_OUR_CERTIFICATE = new Set([
  "bad certificate",
  "unsupported certificate",
  "certificate revoked",
  "certificate expired",
  "certificate unknown",
  "unknown ca",
  "access denied",
  "certificate required",
]);

/** What a cleartext answer looks like when it is read as TLS records. */
const NOT_TLS = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_SSL_UNEXPECTED_MESSAGE",
  "ERR_SSL_BAD_RECORD_TYPE",
  "ERR_SSL_HTTP_REQUEST",
]);

const EXPIRED = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** X509_V_ERR names (OpenSSL, as far as Node passes them on) for a chain that does not lead to the given anchors. */
const UNTRUSTED = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
  "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CERT_SIGNATURE_FAILURE",
  "CERT_CHAIN_TOO_LONG",
  "CERT_REVOKED",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
]);
