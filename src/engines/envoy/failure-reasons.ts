import type { FailureReason } from "../../diagnostics/failure.ts";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import type { AccessLogCommon } from "../../protobuf/generated/envoy/data/accesslog/v3/accesslog_pb.js";
import { handshakeOf } from "./handshake-words.ts";
import { REQUEST_CHECKS } from "./request-checks.ts";

export interface FailureCause {
  readonly reason: FailureReason;
  readonly cause: string;
  readonly handshake?: HandshakeReason;
}

/** What Envoy's log says of a request or connection that came to nothing. */
export interface FailureText {
  /** 0: none was sent. */
  readonly status: number;
  /** `RESPONSE_CODE_DETAILS`. */
  readonly details: string;
  readonly flags: Flags | undefined;
  /** `UPSTREAM_TRANSPORT_FAILURE_REASON`. */
  readonly transport: string;
}

/** Envoy's response flags by their names in records. */
export type Flags = Partial<NonNullable<AccessLogCommon["responseFlags"]>>;

/**
 * The closed list's reason by Envoy's words: the subset that they allow. Null: no failure, or one that a service chose (an
 * AuthService's refusal). The first that fits, so the specific stand before the general.
 */
export function failureCause(text: FailureText): FailureCause | null {
  const { details, flags } = text;
  if (details.startsWith("ext_authz_denied") || details === "request_rate_limited") return null;
  const byDetails = BY_DETAILS.find(([pattern]) => pattern.test(details));
  if (byDetails !== undefined) {
    const [, reason] = byDetails;
    return {
      reason,
      cause: details,
      ...(reason === "upstream_dns_failure" ? { handshake: "dns_failure" as const } : {}),
    };
  }
  const check = REQUEST_CHECKS.find(({ policy }) => details.includes(`[${policy}]`));
  if (check !== undefined) return { reason: check.reason, cause: check.cause };
  if (flags?.noClusterFound === true) return { reason: "route_fails_closed", cause: "no such cluster" };
  const transport = text.transport || details;
  const words = `${transport} ${details}`;
  const handshake = handshakeOf(words, "upstream");
  const byText = BY_TEXT.find(([pattern]) => pattern.test(words));
  if (byText !== undefined)
    return { reason: byText[1], cause: transport, ...(handshake === null ? {} : { handshake }) };
  for (const [flag, reason] of BY_FLAG)
    if (flags?.[flag] === true)
      return {
        reason,
        cause: transport || flag,
        ...(reason === "upstream_dns_failure" ? { handshake: "dns_failure" as const } : {}),
      };
  const byStatus = BY_STATUS[text.status];
  return byStatus === undefined ? null : { reason: byStatus, cause: details };
}

/** Envoy's response details, which are its own closed list. */
const BY_DETAILS: readonly (readonly [RegExp, FailureReason])[] = [
  [/^route_not_found$/, "no_route"],
  [/^low_version$/, "http10_refused"],
  [/^rbac_access_denied_matched_policy\[(?!credence-)/, "address_refused"],
  [/headers_too_large|header_list_too_large|too_many_headers/, "head_too_large"],
  [/^request_payload_too_large$/, "body_too_large"],
  [/^request_header_timeout$|^request_overall_timeout$/, "request_timeout"],
  [/^upgrade_failed$/, "upgrade_refused"],
  [/^ext_authz_error$/, "authorization_unavailable"],
  [/^cluster_not_found$/, "route_fails_closed"],
  [/^no_healthy_upstream$/, "upstream_dns_failure"],
  [/^overload|^envoy_overloaded|^max_requests|\{overflow/, "overloaded"],
  [
    /^(?:upstream_)?(?:response_timeout|per_try_timeout|per_try_idle_timeout|max_stream_duration_reached|max_duration_timeout)/,
    "upstream_response_timeout",
  ],
  [/protocol_error/, "upstream_invalid_response"],
];

/** Of the transport's words: BoringSSL's of a handshake, the system's of a connection. */
const BY_TEXT: readonly (readonly [RegExp, FailureReason])[] = [
  [/certificate has expired|certificate is not yet valid/, "upstream_certificate_expired"],
  [/verify SAN list|SAN (?:list )?match/i, "upstream_certificate_name_mismatch"],
  [/CERTIFICATE_VERIFY_FAILED|X509_verify_cert|no trusted CA/, "upstream_certificate_untrusted"],
  [
    /ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_(?:REQUIRED|EXPIRED|REVOKED|UNKNOWN)|UNSUPPORTED_CERTIFICATE|NO_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)/,
    "client_certificate_refused",
  ],
  [/TLS_error|SSL routines|Secret is not supplied by SDS/, "upstream_tls_handshake_failed"],
  [/connection_timeout|connect(?:ion)? timeout/, "upstream_connect_timeout"],
  [/connect_error:_?\s?(?:111|Connection refused)|Connection refused/i, "upstream_connect_refused"],
  [/connection_failure|connect_error/, "upstream_connect_failed"],
];

type Flag = Exclude<keyof Flags, "$typeName" | "$unknown">;

const BY_FLAG: readonly (readonly [Flag, FailureReason])[] = [
  ["upstreamOverflow", "overloaded"],
  ["overloadManager", "overloaded"],
  ["dnsResolutionFailure", "upstream_dns_failure"],
  ["noHealthyUpstream", "upstream_dns_failure"],
  ["noRouteFound", "no_route"],
  ["upstreamRequestTimeout", "upstream_response_timeout"],
  ["durationTimeout", "upstream_response_timeout"],
  ["upstreamMaxStreamDurationReached", "upstream_response_timeout"],
  ["upstreamProtocolError", "upstream_invalid_response"],
  ["upstreamConnectionFailure", "upstream_connect_failed"],
  ["upstreamConnectionTermination", "upstream_reset"],
  ["upstreamRemoteReset", "upstream_reset"],
  ["localReset", "upstream_reset"],
  ["downstreamProtocolError", "bad_request"],
  ["downstreamConnectionTermination", "client_disconnected"],
  ["downstreamRemoteReset", "client_disconnected"],
];

/** Where nothing else tells. */
const BY_STATUS: Readonly<Record<number, FailureReason>> = {
  400: "bad_request",
  403: "address_refused",
  404: "no_route",
  408: "request_timeout",
  413: "body_too_large",
  426: "http10_refused",
  431: "head_too_large",
  502: "upstream_invalid_response",
  503: "upstream_reset",
  504: "upstream_response_timeout",
};
