import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import { reasonOfCode } from "../../../diagnostics/openssl.ts";
import type { ClientAuth } from "../../../model/tls.ts";
import { oneLineName } from "../../../x509/certificate.ts";
import { type PeerExpectation, verifyPeer } from "../../../x509/verify.ts";
import { presentedChain } from "../../../x509/presented-chain.ts";

/** Who the client proved to be, or why it is refused. */
export type ClientCheck =
  | {
      readonly identity: string | null;
      /** Null: it showed no certificate. */
      readonly vouched: VouchedClient | null;
    }
  | { readonly refused: HandshakeReason; readonly cause: string };

/** A client that was verified in its handshake, which may have been long ago. */
export interface VouchedClient {
  readonly socket: TLSSocket;
  readonly clients: ClientAuth;
  readonly identity: string | null;
  /** Which CA vouched. */
  readonly anchor: X509Certificate;
  /** What a resumed session did not bring of the chain. */
  readonly intermediates: readonly X509Certificate[];
  /** The earliest end on its path, in milliseconds since the epoch. */
  readonly notAfter: number;
}

/** What a policy asks of clients. */
export interface ClientTerms {
  readonly clients: ClientAuth;
  /** The same for our own check, with the rules; null where no certificate is asked for. */
  readonly expected: PeerExpectation | null;
}

/**
 * What the policy asks of a client certificate once the handshake is done, that of a resumed session included: dates and
 * revocation lists move on. A chain that OpenSSL refuses Node has ended before under `required`.
 */
export function checkClient(
  socket: TLSSocket,
  { clients, expected }: ClientTerms,
  issuers: KnownIssuers,
): ClientCheck {
  if (clients.mode === "none" || expected === null) return NOBODY;
  const chain = presentedChain(socket);
  if (chain === null)
    return clients.mode === "optional"
      ? NOBODY
      : { refused: "client_certificate_missing", cause: "no certificate" };
  const { leaf } = chain;
  const intermediates = socket.isSessionReused()
    ? [...chain.intermediates, ...issuers.all]
    : chain.intermediates;
  const verdict = verifyPeer(leaf, intermediates, expected, Date.now());
  if (!verdict.ok) return { refused: verdict.fault, cause: verdict.message };
  if (!socket.authorized) {
    const cause = String(socket.authorizationError);
    return { refused: unverifiedBecause(cause), cause };
  }
  const { path, notAfter } = verdict;
  issuers.add(path.slice(1, -1));
  const subject = oneLineName(leaf.subject);
  // SPIFFE certificates may have no subject.
  const identity = subject === "" ? (leaf.subjectAltName ?? null) : subject;
  const anchor = path.at(-1) ?? leaf;
  const unsent = socket.isSessionReused() ? path.slice(1, -1) : [];
  return { identity, vouched: { socket, clients, identity, anchor, intermediates: unsent, notAfter } };
}

/** By OpenSSL's verdict on the client's chain. */
export function unverifiedBecause(verdict: string | Error): HandshakeReason {
  return reasonOfCode(String(verdict), { side: "server", presented: true }) ?? "handshake_failed";
}

/** The intermediates of clients that were verified: a session brings the leaf alone when it is resumed. */
export class KnownIssuers {
  /** Least recently verified first: issuers come and go under one root for years. */
  readonly #byFingerprint = new Map<string, X509Certificate>();

  get all(): Iterable<X509Certificate> {
    return this.#byFingerprint.values();
  }

  add(certificates: readonly X509Certificate[]): void {
    for (const certificate of certificates) {
      this.#byFingerprint.delete(certificate.fingerprint256);
      this.#byFingerprint.set(certificate.fingerprint256, certificate);
    }
    for (const [oldest] of this.#byFingerprint) {
      if (this.#byFingerprint.size <= MOST_ISSUERS) break;
      this.#byFingerprint.delete(oldest);
    }
  }
}

/** An organisation has a few at a time. */
const MOST_ISSUERS = 100;
const NOBODY: ClientCheck = { identity: null, vouched: null };
