import type { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { CredentialReader } from "../../../credentials/credential.ts";
import type { PeerVerification, UpstreamTls } from "../../../model/tls.ts";
import { subjectAlternativeNames } from "../../../x509/certificate.ts";
import { verifyPeerName } from "../../../x509/names.ts";
import { spiffeIdOf, trustDomainOf } from "../../../x509/spiffe.ts";
import { contextParameters } from "../../../model/openssl.ts";
import { PeerFault } from "./classify.ts";

/** A peer as its certificate was verified in a full handshake. */
export interface VerifiedPeer {
  /** The name or SPIFFE ID. */
  readonly name: string;
  /** Milliseconds since the epoch: the end of its certificate. */
  readonly notAfter: number;
}

/** A session shows no certificate when it is resumed, so whom it was made with is remembered beside it. */
export interface Session {
  readonly ticket: Buffer;
  /** Null where nothing is verified. */
  readonly peer: VerifiedPeer | null;
}

/**
 * What a cluster presents and trusts at one point of time. A rotation makes a new one: contexts and TLS sessions never
 * cross over, so that nothing is resumed that an older credential vouched for.
 */
export class Generation {
  /** Null for cleartext. */
  readonly secureContext: SecureContext | null;
  /** Subject and generation of our certificate, for the access log. */
  readonly identity: string | null;
  /** Milliseconds since the epoch; Infinity without a certificate. */
  readonly notAfter: number;
  readonly #verification: PeerVerification;
  readonly #trustDomain: string | null;
  /** Per address, least recently added first. */
  readonly #sessions = new Map<string, Session[]>();

  private constructor(
    verification: PeerVerification,
    secureContext: SecureContext | null,
    identity: string | null,
    notAfter: number,
    trustDomain: string | null,
  ) {
    this.#verification = verification;
    this.secureContext = secureContext;
    this.identity = identity;
    this.notAfter = notAfter;
    this.#trustDomain = trustDomain;
  }

  /** The current one, or what it lacks: a route never leaves without the credential that it names (design §4.1). */
  static create(tls: UpstreamTls, credentials: CredentialReader): Generation | { readonly missing: string } {
    if (tls.mode === "cleartext") {
      return new Generation({ mode: "none" }, null, null, Number.POSITIVE_INFINITY, null);
    }
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
      return new Generation(
        tls.verification,
        secureContext,
        credential === undefined
          ? null
          : `${credential.facts[0]?.subject ?? credential.name} (generation ${credential.generation})`,
        credential?.notAfter ?? Number.POSITIVE_INFINITY,
        credential?.spiffeId === undefined ? null : trustDomainOf(credential.spiffeId),
      );
    } catch (error) {
      // OpenSSL's code names the step, never the key.
      return { missing: `TLS settings refused: ${(error as NodeJS.ErrnoException).code ?? "unknown error"}` };
    }
  }

  /**
   * Who the peer is, once its chain is verified: the name asked for (RFC 9525), or between SPIFFE identities a peer of
   * our trust domain (design §9). Null where nothing is to be verified.
   */
  identify(peer: X509Certificate): VerifiedPeer | null | PeerFault {
    if (this.#verification.mode === "none") return null;
    const { name } = this.#verification;
    const notAfter = peer.validToDate.getTime();
    const checked = verifyPeerName(peer, name);
    if (checked.ok) return { name, notAfter };
    if (this.#trustDomain === null) return misnamed(name, checked.presented);
    const { dnsNames, ipAddresses, uris } = subjectAlternativeNames(peer);
    const spiffeId = dnsNames.length + ipAddresses.length === 0 ? spiffeIdOf(uris) : undefined;
    if (spiffeId === undefined) return misnamed(name, checked.presented);
    return trustDomainOf(spiffeId) === this.#trustDomain
      ? { name: spiffeId, notAfter }
      : misnamed(`the trust domain ${this.#trustDomain}`, checked.presented);
  }

  /** TLS 1.3 tickets are for one use (RFC 8446 §C.4), so each is taken out. None outlives its peer's certificate. */
  takeSession(address: string): Session | undefined {
    const session = this.#sessions.get(address)?.pop();
    return session?.peer == null || session.peer.notAfter > Date.now() ? session : undefined;
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

const SESSIONS_KEPT = 8;
const ADDRESSES_KEPT = 256;

function misnamed(expected: string, presented: readonly string[]): PeerFault {
  const names = presented.length === 0 ? "nobody (no subjectAltName)" : presented.join(", ");
  return new PeerFault("name_mismatch", `the certificate is not for ${expected}, it names ${names}`);
}
