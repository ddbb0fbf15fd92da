import type { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Credential, CredentialReader } from "../../../credentials/credential.ts";
import { peerExpectation, type PeerEvidence, revocationOf } from "../../../credentials/peer-expectation.ts";
import type { UpstreamTls } from "../../../model/tls.ts";
import { type PeerExpectation, verifyPeer } from "../../../x509/verify.ts";
import { contextParameters } from "../../../model/openssl.ts";
import type { PresentedChain } from "../../../x509/presented-chain.ts";
import { PeerFault } from "./classify.ts";

/** A peer as its certificate was verified. */
export interface VerifiedPeer {
  /** The name or SPIFFE ID. */
  readonly name: string;
  /** Milliseconds since the epoch: the earliest end on the path to its anchor. */
  readonly notAfter: number;
  /** The CA of the bundle that vouched for it. */
  readonly anchor: X509Certificate;
  /** Milliseconds since the epoch: when it last showed its certificate. */
  readonly shownAt: number;
  /** What it presented: a session shows no chain when it is resumed, and may have outlived what vouched for it. */
  readonly chain: PresentedChain;
}

export interface Session {
  readonly ticket: Buffer;
  /** Whom it was made with; null where nothing is verified. */
  readonly peer: VerifiedPeer | null;
}

/**
 * What a cluster presents and trusts at one point of time. A rotation makes a new one: contexts and TLS sessions never
 * cross over, so that nothing is resumed that an older credential, CA or revocation list vouched for.
 */
export class Generation {
  /** Null for cleartext. */
  readonly secureContext: SecureContext | null;
  /** Subject and generation of our certificate, for the access log. */
  readonly identity: string | null;
  /** Milliseconds since the epoch; Infinity without a certificate. */
  readonly notAfter: number;
  /** Null: the peer is not checked. */
  readonly #expected: PeerExpectation | null;
  /** Per address, least recently added first. */
  readonly #sessions = new Map<string, Session[]>();

  private constructor(
    secureContext: SecureContext | null,
    credential: Credential | undefined,
    expected: PeerExpectation | null,
  ) {
    this.secureContext = secureContext;
    this.identity =
      credential === undefined
        ? null
        : `${credential.facts[0]?.subject ?? credential.name} (generation ${credential.generation})`;
    this.notAfter = credential?.notAfter ?? Number.POSITIVE_INFINITY;
    this.#expected = expected;
  }

  /** The current one, or what it lacks: a route never leaves without the credential that it names (design §4.1). */
  static create(tls: UpstreamTls, credentials: CredentialReader): Generation | { readonly missing: string } {
    if (tls.mode === "cleartext") return new Generation(null, undefined, null);
    const credential = tls.credential === undefined ? undefined : credentials.credential(tls.credential);
    if (tls.credential !== undefined && credential === undefined) {
      return { missing: `no usable certificate and key in ${tls.credential}` };
    }
    const trustName = tls.verification.mode === "none" ? undefined : tls.verification.trust;
    const trust = trustName === undefined ? undefined : credentials.trust(trustName);
    // An empty list would make Node fall back to the public CAs.
    if (trustName !== undefined && (trust === undefined || trust.anchors.length === 0)) {
      return { missing: `no usable CA certificate in ${trustName}` };
    }
    try {
      const secureContext = createSecureContext({
        ...contextParameters(tls.parameters),
        ...(credential === undefined
          ? {}
          : { cert: credential.certificateChain, key: credential.privateKey }),
        ...(trust === undefined ? {} : { ca: [...trust.anchors] }),
      });
      const evidence =
        trust === undefined || tls.verification.mode === "none"
          ? null
          : { trust, crl: revocationOf(tls.verification.rules, credentials), own: credential };
      return new Generation(secureContext, credential, expectationOf(tls, evidence));
    } catch (error) {
      // OpenSSL's code names the step, never the key.
      return { missing: `TLS settings refused: ${(error as NodeJS.ErrnoException).code ?? "unknown error"}` };
    }
  }

  get verifies(): boolean {
    return this.#expected !== null;
  }

  /** Who the peer is, or what its certificate lacks. Null where nothing is to be verified. */
  verify(chain: PresentedChain | null): VerifiedPeer | null | PeerFault {
    if (this.#expected === null) return null;
    if (chain === null) return new PeerFault("issuer_unknown", "the peer has sent no certificate");
    const now = Date.now();
    const verdict = verifyPeer(chain.leaf, chain.intermediates, this.#expected, now);
    if (!verdict.ok) return new PeerFault(verdict.fault, verdict.message);
    const { identity, notAfter, path } = verdict;
    return { name: identity, notAfter, anchor: path.at(-1) ?? chain.leaf, shownAt: now, chain };
  }

  /**
   * TLS 1.3 tickets are for one use (RFC 8446 §C.4), so each is taken out. None outlives what vouched for its peer, and as
   * time may have changed that (dates, the age of a revocation list) it is looked at again. After an hour a peer has to
   * show its certificate anew: one session leads to the next, and would hide that there is another by now.
   */
  takeSession(address: string): Session | undefined {
    const session = this.#sessions.get(address)?.pop();
    if (session === undefined || session.peer === null) return session;
    if (session.peer.shownAt < Date.now() - LONGEST_UNSHOWN_MS) return undefined;
    return this.verify(session.peer.chain) instanceof PeerFault ? undefined : session;
  }

  keepSession(address: string, session: Session): void {
    const kept = this.#sessions.get(address);
    if (kept !== undefined) {
      if (kept.length >= SESSIONS_KEPT) kept.shift();
      kept.push(session);
      return;
    }
    if (this.#sessions.size >= ADDRESSES_KEPT) {
      for (const [oldest] of this.#sessions) {
        this.#sessions.delete(oldest);
        break;
      }
    }
    this.#sessions.set(address, [session]);
  }
}

const LONGEST_UNSHOWN_MS = 3_600_000;
const SESSIONS_KEPT = 8;
const ADDRESSES_KEPT = 256;

function expectationOf(
  { verification }: Extract<UpstreamTls, { mode: "originate" }>,
  evidence: PeerEvidence | null,
): PeerExpectation | null {
  if (verification.mode === "none" || evidence === null) return null;
  const { name, rules } = verification;
  return peerExpectation({ usage: "server", name }, evidence, rules);
}
