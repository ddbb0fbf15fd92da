import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { createSecureContext, type PeerCertificate, type SecureContext } from "node:tls";
import type { CredentialReader } from "../../../credentials/credential.ts";
import type { UpstreamTls } from "../../../model/tls.ts";
import { verifyPeerName } from "../../../x509/names.ts";
import { trustDomainOf } from "../../../x509/spiffe.ts";
import { contextParameters } from "../tls/parameters.ts";

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
  readonly #tls: UpstreamTls;
  readonly #trustDomain: string | null;
  readonly #sessions = new Map<string, Buffer[]>();

  private constructor(
    tls: UpstreamTls,
    secureContext: SecureContext | null,
    identity: string | null,
    notAfter: number,
    trustDomain: string | null,
  ) {
    this.#tls = tls;
    this.secureContext = secureContext;
    this.identity = identity;
    this.notAfter = notAfter;
    this.#trustDomain = trustDomain;
  }

  /** The current one, or what is missing for it: a route never leaves without the credential it names (design §4.1). */
  static create(tls: UpstreamTls, credentials: CredentialReader): Generation | { readonly missing: string } {
    if (tls.mode === "cleartext") return new Generation(tls, null, null, Number.POSITIVE_INFINITY, null);
    const credential = tls.credential === undefined ? undefined : credentials.credential(tls.credential);
    if (tls.credential !== undefined && credential === undefined) return { missing: tls.credential };
    const trustName = tls.verification.mode === "none" ? undefined : tls.verification.trust;
    const trust = trustName === undefined ? undefined : credentials.trust(trustName);
    if (trustName !== undefined && trust === undefined) return { missing: `trust ${trustName}` };
    try {
      const secureContext = createSecureContext({
        ...contextParameters(tls.parameters),
        ...(credential === undefined
          ? {}
          : { cert: credential.certificateChain, key: credential.privateKey }),
        ...(trust === undefined ? {} : { ca: [...trust.anchors] }),
      });
      const subject = credential?.facts[0]?.subject;
      return new Generation(
        tls,
        secureContext,
        credential === undefined ? null : `${subject} (generation ${credential.generation})`,
        credential?.notAfter ?? Number.POSITIVE_INFINITY,
        credential?.spiffeId === undefined ? null : trustDomainOf(credential.spiffeId),
      );
    } catch (error) {
      // OpenSSL's message names the step, never the key.
      return { missing: `TLS context: ${(error as NodeJS.ErrnoException).code ?? "refused by OpenSSL"}` };
    }
  }

  /** After the chain was verified: the name (RFC 9525), or between SPIFFE identities the trust domain (design §9). */
  checkPeer(certificate: PeerCertificate): Error | undefined {
    if (this.#tls.mode === "cleartext" || this.#tls.verification.mode === "none") return undefined;
    const { name } = this.#tls.verification;
    const peer = new X509Certificate(certificate.raw);
    const checked = verifyPeerName(peer, name);
    if (checked.ok) return undefined;
    const { presented } = checked;
    const onlySpiffe = presented.length > 0 && presented.every((san) => san.startsWith("spiffe://"));
    if (
      this.#trustDomain !== null &&
      onlySpiffe &&
      presented.every((san) => trustDomainOf(san) === this.#trustDomain)
    ) {
      return undefined;
    }
    const kind = isIP(name) === 0 ? "name" : "address";
    return Object.assign(new Error(`${kind} ${name} is not among ${presented.join(", ") || "no names"}`), {
      code: "ERR_CREDENTIAL_NAME",
    });
  }

  /** TLS 1.3 tickets are for one use (RFC 8446 §C.4), so each is taken out. */
  takeSession(address: string): Buffer | undefined {
    return this.#sessions.get(address)?.pop();
  }

  keepSession(address: string, session: Buffer): void {
    const kept = this.#sessions.get(address) ?? [];
    if (kept.length >= SESSIONS_KEPT) kept.shift();
    kept.push(session);
    if (this.#sessions.size < ADDRESSES_KEPT) this.#sessions.set(address, kept);
  }
}

const SESSIONS_KEPT = 8;
const ADDRESSES_KEPT = 256;
