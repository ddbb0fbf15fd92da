import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { connect } from "node:net";
import { RefusedDial, type SocketDial } from "./socket-dial.ts";

/** gRPC to whoever serves it on a Unix socket. */
export interface GrpcSocket {
  readonly transport: Transport;
  /** Ends its connection, and what is under way on it. */
  close(): void;
}

/** Dials at the first call. Nothing is compressed, and no message may be longer than `readMaxBytes`. */
export function openGrpcSocket(path: string, readMaxBytes: number, dial: SocketDial = connect): GrpcSocket {
  const sessionManager = new Http2SessionManager(
    "http://localhost",
    { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS },
    { createConnection: () => dial(path) },
  );
  return {
    transport: createGrpcTransport({
      baseUrl: "http://localhost",
      sessionManager,
      readMaxBytes,
      acceptCompression: [],
    }),
    close: () => sessionManager.abort(),
  };
}

/** Why a call failed, in words for the operator of whoever serves it; what the server said is bounded and on one line. */
export function grpcTrouble(error: unknown, path: string): string {
  if (error instanceof RefusedDial) return error.message;
  if (isNodeError(error)) return SYSTEM_ERRORS[error.code]?.(path) ?? `${path}: ${error.code}`;
  const { code, rawMessage, cause } = ConnectError.from(error);
  if (isNodeError(cause) && cause.code in SYSTEM_ERRORS) return grpcTrouble(cause, path);
  const said = rawMessage.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").slice(0, LONGEST_SAID);
  return `${path} answers ${Code[code]}: ${said}`;
}

/** gRPC servers end a connection on which pings come more often than every five minutes, where nothing else is set. */
const PING_INTERVAL_MS = 330_000;
const PING_TIMEOUT_MS = 20_000;
const LONGEST_SAID = 200;

const SYSTEM_ERRORS: Readonly<Record<string, (path: string) => string>> = {
  ENOENT: (path) => `there is no socket at ${path}`,
  ECONNREFUSED: (path) => `nobody listens on ${path}`,
  EACCES: (path) => `the socket ${path} may not be opened by this user`,
  ENOTSOCK: (path) => `${path} is no socket`,
  ECONNRESET: (path) => `the connection to ${path} was reset`,
  EPIPE: (path) => `the connection to ${path} was reset`,
};

function isNodeError(error: unknown): error is Error & { readonly code: string } {
  return (
    error instanceof Error &&
    !(error instanceof ConnectError) &&
    "code" in error &&
    typeof error.code === "string"
  );
}
