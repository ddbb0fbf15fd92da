/** One line of the access log. Names are the JSON keys. Durations are milliseconds, sizes are bytes of body. */
export interface AccessLogEntry {
  readonly time: string;
  readonly client: string;
  readonly listener: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly status: number;
  readonly request_bytes: number;
  readonly response_bytes: number;
  /** Null where nothing was served. */
  readonly duration_ms: number | null;
  /** Until the first byte of the upstream's response; null where there was none. */
  readonly upstream_ms: number | null;
  readonly request_id: string;
  readonly route: string | null;
  readonly upstream: string | null;
  readonly tls_version: string | null;
  readonly tls_cipher: string | null;
  /** Subject of the verified client certificate. */
  readonly client_identity: string | null;
  readonly upstream_tls_version: string | null;
  readonly upstream_tls_cipher: string | null;
  /** Subject and generation of the certificate presented upstream. */
  readonly identity_presented: string | null;
  /** Name that was verified in the upstream's certificate. */
  readonly identity_verified: string | null;
  /** One of FAILURE_REASONS, or `client_handshake_failed`; null for a request that was served. */
  readonly failure: string | null;
  /** One of HANDSHAKE_REASONS, where a handshake, or what comes before one with the upstream, was the failure. */
  readonly handshake: string | null;
  readonly failure_id: string | null;
  readonly revision: number | null;
}

/** Undefined turns the log off, and costs nothing. */
export type AccessLog = (entry: AccessLogEntry) => void;
