import type { X509Certificate } from "node:crypto";
import type { PeerRules } from "../model/tls.ts";
import { parsePem } from "../x509/pem.ts";
import type { RevocationLists } from "../x509/revocation.ts";
import { trustDomainOf } from "../x509/spiffe.ts";
import { readTrustDomains } from "../x509/trust-domains.ts";
import { type PeerExpectation, readAnchors } from "../x509/verify.ts";
import type { Credential, CredentialReader, RevocationBundle, TrustBundle } from "./credential.ts";

/** Whom a peer is taken for, beside what the rules say. */
export interface AskedPeer {
  /** The peer's side of TLS. */
  readonly usage: PeerExpectation["usage"];
  /** The name that was dialled; absent for clients. */
  readonly name?: string;
}

/** What the store has for a check. */
export interface PeerEvidence {
  readonly trust: TrustBundle | undefined;
  /** The lists that the rules name; where they are not there, none is known of any CA. */
  readonly crl: RevocationBundle | undefined;
  /** What we present: a peer of its SPIFFE trust domain is taken, and its intermediates are known. */
  readonly own?: Credential | undefined;
}

/** The revocation lists that the rules name, as the store has them now. */
export function revocationOf(
  rules: PeerRules | undefined,
  credentials: Pick<CredentialReader, "crl">,
): RevocationBundle | undefined {
  const { revocation } = rules ?? {};
  return revocation === undefined ? undefined : credentials.crl(revocation.crl);
}

/** What `verifyPeer` is to ask for by the rules of the model and what the store has. */
export function peerExpectation(
  { usage, name }: AskedPeer,
  { trust, crl, own }: PeerEvidence,
  rules: PeerRules = {},
): PeerExpectation {
  const { identities, spkiSha256, maxDepth, revocation } = rules;
  const trustDomain = own?.spiffeId === undefined ? null : trustDomainOf(own.spiffeId);
  return {
    usage,
    ...(trust === undefined ? { anchors: [] } : anchorsOf(trust)),
    ...(own === undefined ? {} : { known: intermediatesOf(own) }),
    // Identities stand instead of the name.
    ...(identities === undefined
      ? { ...(name === undefined ? {} : { name }), ...(trustDomain === null ? {} : { trustDomain }) }
      : { identities }),
    ...(spkiSha256 === undefined ? {} : { spkiSha256 }),
    ...(maxDepth === undefined ? {} : { maxDepth }),
    ...(revocation === undefined
      ? {}
      : { revocation: { lists: crl?.lists ?? NO_LISTS, policy: revocation.policy } }),
  };
}

const NO_LISTS: RevocationLists = { facts: [], ofIssuer: new Map() };

/** Read once a credential, which never changes: a thousand clusters may present the same. */
function intermediatesOf(own: Credential): readonly X509Certificate[] {
  let known = INTERMEDIATES.get(own);
  if (known === undefined) {
    const chain = parsePem(own.certificateChain);
    known = chain.ok ? readAnchors(chain.blocks.slice(1).map(({ text }) => text)) : [];
    INTERMEDIATES.set(own, known);
  }
  return known;
}

const INTERMEDIATES = new WeakMap<Credential, readonly X509Certificate[]>();

/** Read once a bundle: a thousand hosts may have the same. */
function anchorsOf(trust: TrustBundle): Pick<PeerExpectation, "anchors" | "domains"> {
  let read = READ.get(trust);
  if (read === undefined) {
    read = {
      anchors: readAnchors(trust.anchors),
      ...(trust.domains === undefined ? {} : { domains: readTrustDomains(trust.domains) }),
    };
    READ.set(trust, read);
  }
  return read;
}

const READ = new WeakMap<TrustBundle, Pick<PeerExpectation, "anchors" | "domains">>();
