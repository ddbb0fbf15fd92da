import type { TLSSocket } from "node:tls";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import { reasonOfCode } from "../../../diagnostics/openssl.ts";
import type { ClientAuth } from "../../../model/tls.ts";

/** Who the client proved to be, or why it is refused. */
export type ClientCheck =
  | { readonly identity: string | null }
  | { readonly refused: HandshakeReason; readonly cause: string };

/** What the policy asks of a client certificate once the handshake is done; `required` is enforced by Node before. */
export function checkClient(socket: TLSSocket, clients: ClientAuth): ClientCheck {
  if (clients.mode === "none") return NOBODY;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined)
    return clients.mode === "optional"
      ? NOBODY
      : { refused: "client_certificate_missing", cause: "no certificate" };
  if (!socket.authorized) {
    const cause = String(socket.authorizationError);
    return { refused: unverifiedBecause(cause), cause };
  }
  // A resumed session brings the certificate of its first handshake, and that one's verdict.
  if (certificate.validToDate.getTime() < Date.now())
    return { refused: "certificate_expired", cause: "CERT_HAS_EXPIRED" };
  const subject = (certificate.subject ?? "").replaceAll("\n", ", ");
  // SPIFFE certificates may have no subject.
  return { identity: subject === "" ? (certificate.subjectAltName ?? null) : subject };
}

/** By OpenSSL's verdict on the client's chain. */
export function unverifiedBecause(verdict: string | Error): HandshakeReason {
  return reasonOfCode(String(verdict), { side: "server", presented: true }) ?? "handshake_failed";
}

const NOBODY: ClientCheck = { identity: null };
