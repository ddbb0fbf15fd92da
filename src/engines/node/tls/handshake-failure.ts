import type { Socket } from "node:net";

/** Why a handshake came to nothing: a closed list, so that counting by it stays bounded. */
export type HandshakeFailure =
  /** No host of that name, or no name and no host for `*`. */
  | "unknown_host"
  /** The host is there; its certificate, trust bundle or parameters cannot be used. */
  | "host_unusable"
  /** The host's policy changed while the handshake was under way. */
  | "superseded"
  /** Asked for and not sent, sent and not verified, or out of date. */
  | "client_certificate"
  /** Plain text on a TLS port, most often. */
  | "not_tls"
  | "malformed_hello"
  /** No common version, cipher suite, group, signature algorithm or application protocol. */
  | "no_agreement"
  | "timeout"
  /** The client went away. */
  | "closed"
  /** Anything else that TLS objects to, or an alert of the client's. */
  | "protocol";

/** Sorts an error of Node's TLS by its code. */
export function failureOf(code: string | undefined): HandshakeFailure {
  if (code === undefined) return "protocol";
  return BY_CODE[code] ?? "protocol";
}

/** Answers in the clear, as no keys are agreed on yet, and closes: politely at first, then in any case. */
export function refuseWith(socket: Socket, answer: Buffer | string): void {
  const close = (): void => {
    socket.destroy();
  };
  const timer = setTimeout(close, LINGER_MS).unref();
  socket.on("error", close);
  socket.on("end", close);
  socket.on("close", () => clearTimeout(timer));
  // What is left unread would turn the close into a reset, and the answer would be lost with it.
  socket.resume();
  socket.end(answer);
}

/** Fatal alert records (RFC 8446 §6.2). */
export const UNRECOGNIZED_NAME: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 112]);
export const DECODE_ERROR: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 50]);

export const PLAINTEXT_ANSWER: string =
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 26\r\nconnection: close\r\n\r\nThis port speaks TLS only\n";

const LINGER_MS = 500;

const BY_CODE: Readonly<Record<string, HandshakeFailure>> = {
  ECONNRESET: "closed",
  EPIPE: "closed",
  ERR_TLS_HANDSHAKE_TIMEOUT: "timeout",
  ERR_SSL_HTTP_REQUEST: "not_tls",
  ERR_SSL_HTTPS_PROXY_REQUEST: "not_tls",
  ERR_SSL_WRONG_VERSION_NUMBER: "not_tls",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "not_tls",
  ERR_SSL_NO_SHARED_CIPHER: "no_agreement",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "no_agreement",
  ERR_SSL_VERSION_TOO_LOW: "no_agreement",
  ERR_SSL_NO_SUITABLE_KEY_SHARE: "no_agreement",
  ERR_SSL_NO_SUITABLE_GROUPS: "no_agreement",
  ERR_SSL_NO_SHARED_GROUPS: "no_agreement",
  ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS: "no_agreement",
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: "no_agreement",
  ERR_SSL_NO_APPLICATION_PROTOCOL: "no_agreement",
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "client_certificate",
};
