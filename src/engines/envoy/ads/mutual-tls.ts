import { constants } from "node:crypto";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { reasonOfCode } from "../../../diagnostics/openssl.ts";
import { presentedChain } from "../../../x509/presented-chain.ts";
import { type PeerExpectation, readAnchors, verifyPeer } from "../../../x509/verify.ts";
import { failedHandshake, rememberAddresses, type Refusal, refusalOf } from "./handshake-failure.ts";

/** Mutual TLS: without a certificate of `clientCas` nobody gets as far as a stream. PEM. */
export interface TransportTls {
  readonly certificateChain: string;
  readonly privateKey: string;
  readonly clientCas: readonly string[];
}

export interface MutualTlsEvents {
  /** Whose certificate is vouched for until then, in milliseconds since the epoch. Nothing was read of the connection. */
  onAdmitted(socket: TLSSocket, notAfter: number): void;
  onRefused(refusal: Refusal): void;
}

/**
 * TLS connections of clients that showed a certificate which both OpenSSL and our own check find good. Node would end the others
 * itself (`rejectUnauthorized`), and forget whose certificate it was: so the handshake is let end, and who is not good is cut
 * off before a byte of what was sent is read, or one is answered.
 */
export class MutualTlsServer {
  readonly server: Server;
  #expected: PeerExpectation;

  constructor(tls: TransportTls, events: MutualTlsEvents) {
    this.#expected = expectationOf(tls);
    this.server = createServer({
      ...secureOptions(tls),
      ALPNProtocols: ["h2"],
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    rememberAddresses(this.server);
    this.server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      const verdict = judged(socket, this.#expected);
      if (!("refused" in verdict)) {
        events.onAdmitted(socket, verdict.notAfter);
        return;
      }
      socket.destroy();
      events.onRefused(verdict.refused);
    });
    this.server.on("tlsClientError", (error: Error, socket) =>
      events.onRefused(failedHandshake(error, socket)),
    );
  }

  /** New connections are made with these from now on, and those judged by them whose handshake is under way. */
  renew(tls: TransportTls): void {
    this.#expected = expectationOf(tls);
    this.server.setSecureContext(secureOptions(tls));
  }
}

type Verdict = { readonly notAfter: number } | { readonly refused: Refusal };

/** Whatever goes wrong on the way to it: only a verdict lets in. */
function judged(socket: TLSSocket, expected: PeerExpectation): Verdict {
  try {
    return judge(socket, expected);
  } catch (error) {
    return { refused: refusalOf(socket, "certificate_malformed", null, String(error)) };
  }
}

function judge(socket: TLSSocket, expected: PeerExpectation): Verdict {
  const chain = presentedChain(socket);
  if (chain === null) return { refused: refusalOf(socket, "client_certificate_missing", null) };
  // It brings the leaf alone, and what it was let in by may be gone. None is to be had (`secureOptions`).
  if (socket.isSessionReused()) return { refused: refusalOf(socket, "settings_changed", chain.leaf) };
  const verdict = verifyPeer(chain.leaf, chain.intermediates, expected, Date.now());
  if (!verdict.ok) return { refused: refusalOf(socket, verdict.fault, chain.leaf, verdict.message) };
  if (!socket.authorized) {
    const code = String(socket.authorizationError);
    const reason = reasonOfCode(code, { side: "server", presented: true }) ?? "handshake_failed";
    return { refused: refusalOf(socket, reason, chain.leaf, code) };
  }
  return { notAfter: verdict.notAfter };
}

function expectationOf({ clientCas }: TransportTls): PeerExpectation {
  return { usage: "client", anchors: readAnchors(clientCas) };
}

function secureOptions({ certificateChain, privateKey, clientCas }: TransportTls): {
  cert: string;
  key: string;
  ca: string[];
  minVersion: "TLSv1.2";
  secureOptions: number;
} {
  return {
    cert: certificateChain,
    key: privateKey,
    ca: [...clientCas],
    minVersion: "TLSv1.2",
    // A resumed session is not verified again: it would let in who is not vouched for any more. Envoys connect seldom.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
