import type { TLSSocket } from "node:tls";
import type { ClientAuth } from "../../../model/tls.ts";

/** Who the client proved to be, or why it is refused. */
export type ClientCheck = { readonly identity: string | null } | { readonly refused: string };

/** What the policy asks of a client certificate once the handshake is done; `required` is enforced by Node before. */
export function checkClient(socket: TLSSocket, clients: ClientAuth): ClientCheck {
  if (clients.mode === "none") return NOBODY;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return clients.mode === "optional" ? NOBODY : { refused: "no certificate" };
  if (!socket.authorized) return { refused: String(socket.authorizationError) };
  // A resumed session brings the certificate of its first handshake, and that one's verdict.
  if (certificate.validToDate.getTime() < Date.now()) return { refused: "CERT_HAS_EXPIRED" };
  const subject = (certificate.subject ?? "").replaceAll("\n", ", ");
  // SPIFFE certificates may have no subject.
  return { identity: subject === "" ? (certificate.subjectAltName ?? null) : subject };
}

const NOBODY: ClientCheck = { identity: null };
