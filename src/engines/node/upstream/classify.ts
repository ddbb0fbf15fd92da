import type { FailureReason } from "../../../diagnostics/failure.ts";

/** Why dialling or using an upstream connection failed: a reason of the closed list and the detail for the operator. */
export interface UpstreamFailure {
  readonly reason: FailureReason;
  readonly cause: string;
}

/** `connected`: TCP had been established, so the error is of the TLS handshake or later. */
export function classify(error: Error & { code?: string }, connected: boolean): UpstreamFailure {
  const code = error.code ?? "";
  if (code === "ECONNREFUSED") return { reason: "upstream_connect_refused", cause: code };
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID" || code === "ERR_CREDENTIAL_NAME") {
    return { reason: "upstream_certificate_name_mismatch", cause: error.message };
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return { reason: "upstream_certificate_expired", cause: code };
  }
  if (UNTRUSTED.has(code)) return { reason: "upstream_certificate_untrusted", cause: code };
  const alert = /ALERT_(.+)$/.exec(code)?.[1]?.toLowerCase().replaceAll("_", " ");
  if (alert !== undefined && ALERTS_ABOUT_OUR_CERTIFICATE.has(alert)) {
    return { reason: "client_certificate_refused", cause: `TLS alert: ${alert}` };
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    return {
      reason: "upstream_tls_handshake_failed",
      cause: `${code}: the peer does not seem to speak TLS on this port`,
    };
  }
  if (code.startsWith("ERR_SSL_") || code === "EPROTO" || code === "ERR_TLS_HANDSHAKE") {
    return {
      reason: "upstream_tls_handshake_failed",
      cause: alert === undefined ? code || error.message : `TLS alert: ${alert}`,
    };
  }
  if (code === "ETIMEDOUT") return { reason: "upstream_connect_timeout", cause: code };
  if (code === "ECONNRESET" || code === "EPIPE") {
    return { reason: connected ? "upstream_reset" : "upstream_connect_failed", cause: code };
  }
  return { reason: connected ? "upstream_reset" : "upstream_connect_failed", cause: code || error.message };
}

/** X509_V_ERR names (OpenSSL) for a chain that does not lead to the given anchors. */
const UNTRUSTED = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CERT_SIGNATURE_FAILURE",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "PATH_LENGTH_EXCEEDED",
  "CERT_REVOKED",
  "CERT_CHAIN_TOO_LONG",
  "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
  "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
  "EE_KEY_TOO_SMALL",
  "CA_KEY_TOO_SMALL",
  "CA_MD_TOO_WEAK",
]);

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
  "decrypt error",
]);
