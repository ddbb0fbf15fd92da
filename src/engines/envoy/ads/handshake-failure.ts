import type { Http2SecureServer, Http2Server } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** Why a client got no xDS connection and what to do, in words of ours: OpenSSL's name pointers and its own source files. */
export function handshakeFailure(
  error: NodeJS.ErrnoException,
  socket: TLSSocket,
): { readonly address: string | undefined; readonly reason: string; readonly code: string | undefined } {
  // A verification that fails comes as a connection that was reset; the socket knows why.
  const verification = socket.authorizationError as unknown as string | null | undefined;
  const code = verification ?? error.code;
  return { address: addressOf(socket), reason: REASONS.get(code ?? "") ?? OTHERWISE, code };
}

/** A socket keeps an address that it was asked for while it was open. */
export function rememberAddresses(server: Http2Server | Http2SecureServer): void {
  server.on("connection", (socket: Socket) => void socket.remoteAddress);
}

/** A socket that is closed has forgotten its peer; the connection beneath it has not. */
function addressOf(socket: TLSSocket): string | undefined {
  const beneath = (socket as { readonly _parent?: { readonly remoteAddress?: string } })._parent;
  return socket.remoteAddress ?? beneath?.remoteAddress;
}

const UNKNOWN_ISSUER =
  "the issuer of its certificate is not in --xds-client-ca: add that CA, or give the Envoy another certificate";

const REASONS: ReadonlyMap<string, string> = new Map([
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", UNKNOWN_ISSUER],
  ["UNABLE_TO_GET_ISSUER_CERT", UNKNOWN_ISSUER],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", UNKNOWN_ISSUER],
  ["SELF_SIGNED_CERT_IN_CHAIN", UNKNOWN_ISSUER],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", UNKNOWN_ISSUER],
  ["CERT_HAS_EXPIRED", "its certificate has expired: give the Envoy a new one"],
  ["CERT_NOT_YET_VALID", "its certificate is not valid yet: check both clocks"],
  ["INVALID_PURPOSE", "its certificate is not for clients: issue one with the usage clientAuth"],
  [
    "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE",
    "it showed no certificate: give the Envoy one (`credence envoy bootstrap --cert --key`)",
  ],
]);

const OTHERWISE = "the client ended it, or does not speak TLS 1.2 or later; its own log may say more";
