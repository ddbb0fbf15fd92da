import type { X509Certificate } from "node:crypto";
import type { Server } from "node:net";
import type { TLSSocket } from "node:tls";
import { explainClient, type HandshakeReason } from "../../../diagnostics/handshake.ts";
import { reasonOfCode } from "../../../diagnostics/openssl.ts";
import { fingerprint, oneLineName } from "../../../x509/certificate.ts";
import { shortened } from "../../../x509/finding.ts";

/** A client that got no xDS connection: why, who it said to be, and what to do. */
export interface Refusal {
  readonly address: string | undefined;
  readonly reason: HandshakeReason;
  readonly remedy: string;
  /** Of the certificate that it showed; null: none, or not as far as that. */
  readonly certificate: {
    readonly subject: string;
    readonly names: string;
    readonly issuer: string;
    readonly sha256: string;
  } | null;
  /** What a certificate lacks, or OpenSSL's code. */
  readonly cause: string | null;
}

/** Of a handshake that was done. */
export function refusalOf(
  socket: TLSSocket,
  reason: HandshakeReason,
  certificate: X509Certificate | null,
  cause: string | null = null,
): Refusal {
  return {
    address: addressOf(socket),
    reason,
    remedy: REMEDIES[reason] ?? explainClient(reason).remedy,
    certificate: certificate === null ? null : shown(certificate),
    cause,
  };
}

/** Of one that came to nothing by itself. */
export function failedHandshake(error: NodeJS.ErrnoException, socket: TLSSocket): Refusal {
  const { code = "", syscall } = error;
  const reason =
    code === "ECONNRESET" || code === "EPIPE"
      ? // Node says so where the client goes away in due form as well, but no system call failed then.
        syscall === undefined
        ? "handshake_closed"
        : "handshake_reset"
      : (reasonOfCode(code, { side: "server", presented: true }) ?? "handshake_failed");
  return refusalOf(socket, reason, null, code === "" ? error.message : code);
}

/** A socket keeps an address that it was asked for while it was open. */
export function rememberAddresses(server: Server): void {
  server.on("connection", (socket) => void socket.remoteAddress);
}

/** A socket that is closed has forgotten its peer; the connection beneath it has not. */
function addressOf(socket: TLSSocket): string | undefined {
  const beneath = (socket as { readonly _parent?: { readonly remoteAddress?: string } })._parent;
  return socket.remoteAddress ?? beneath?.remoteAddress;
}

function shown(certificate: X509Certificate): Refusal["certificate"] {
  const { subject, issuer, subjectAltName } = certificate;
  return {
    subject: shortened(oneLineName(subject)),
    names: shortened(subjectAltName ?? ""),
    issuer: shortened(oneLineName(issuer)),
    sha256: fingerprint(certificate),
  };
}

const UNKNOWN_ISSUER =
  "Add the CA that issued its certificate to --xds-client-ca, or give the Envoy a certificate of one that is there.";

/** In the words of who runs a fleet, where they say more than those of listeners. */
const REMEDIES: Readonly<Partial<Record<HandshakeReason, string>>> = {
  issuer_unknown: UNKNOWN_ISSUER,
  self_signed_leaf: UNKNOWN_ISSUER,
  client_certificate_missing: "Give the Envoy a certificate (`credence envoy bootstrap --cert --key`).",
  server_certificate_refused:
    "Give the Envoy the CA of --xds-cert (`credence envoy bootstrap --ca`), and dial a name that the certificate has.",
  no_common_version: "Have the client speak TLS 1.2 or later.",
  plaintext_peer: "Have the client speak TLS (`credence envoy bootstrap` writes how).",
};
