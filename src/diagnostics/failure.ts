import type { HandshakeReason } from "./handshake.ts";

/**
 * Why a request was not answered by its upstream: the closed list of reasons for the access log, metrics and the diag
 * page. Each has its status and is explained in docs/errors.md.
 */
export const FAILURE_REASONS = {
  bad_request: 400,
  cleartext_refused: 400,
  address_refused: 403,
  upgrade_refused: 403,
  authorization_unavailable: 403,
  no_route: 404,
  request_timeout: 408,
  body_too_large: 413,
  misdirected_request: 421,
  head_too_large: 431,
  http_version_unsupported: 505,
  http10_refused: 426,
  expectation_failed: 417,
  method_not_supported: 501,
  route_fails_closed: 503,
  credential_unavailable: 503,
  overloaded: 503,
  upstream_dns_failure: 503,
  upstream_connect_refused: 503,
  upstream_connect_timeout: 503,
  upstream_connect_failed: 503,
  upstream_tls_handshake_failed: 503,
  upstream_certificate_untrusted: 503,
  upstream_certificate_expired: 503,
  upstream_certificate_name_mismatch: 503,
  client_certificate_refused: 503,
  upstream_reset: 503,
  upstream_invalid_response: 502,
  upstream_response_timeout: 504,
  client_disconnected: 499,
} as const;

export type FailureReason = keyof typeof FAILURE_REASONS;

/** Stands in the access log in place of a reason above where no request came, as the handshake of its client failed. */
export const CLIENT_HANDSHAKE_FAILED = "client_handshake_failed";

/** One handshake of a client that came to nothing, kept for the operator. */
export interface HandshakeRecord {
  /** Opaque, in the access log and the log. */
  readonly id: string;
  /** ISO 8601. */
  readonly time: string;
  /** The listener's name. */
  readonly listener: string;
  /** In lower case, as far as the client's hello was read. */
  readonly serverName: string | null;
  /** The client's address. */
  readonly client: string;
  /** Null: it was not agreed upon, or is not known. */
  readonly tlsVersion: string | null;
  readonly reason: HandshakeReason;
  /** The detail: OpenSSL's code or what a certificate lacks. Never key material. */
  readonly cause: string | null;
}

/** One failed request, kept for the operator; the client sees only `id`. */
export interface FailureRecord {
  /** Opaque, in the response body and in the access log. */
  readonly id: string;
  /** ISO 8601. */
  readonly time: string;
  /** `mapping/NAMESPACE/NAME`, or null where no route was chosen. */
  readonly route: string | null;
  readonly reason: FailureReason;
  /** The detail: diagnostic code, errno or TLS alert. Never shown to the client, never key material. */
  readonly cause: string;
  /** Of a handshake, or of what came before it: finer than `reason`, and the list that `credence probe` shares. */
  readonly handshake?: HandshakeReason;
  /** `address:port`, or null where none was dialled. */
  readonly upstream: string | null;
}
