import type { X509Certificate } from "node:crypto";
import type { PeerRules } from "../model/tls.ts";
import { parsePem } from "../x509/pem.ts";
import type { RevocationLists } from "../x509/revocation.ts";
import { trustDomainOf } from "../x509/spiffe.ts";
import { readTrustDomains, type TrustDomains } from "../x509/trust-domains.ts";
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
  return readOnce(INTERMEDIATES, own, ({ certificateChain }) => {
    const chain = parsePem(certificateChain);
    return chain.ok ? readAnchors(chain.blocks.slice(1).map(({ text }) => text)) : [];
  });
}

const INTERMEDIATES = new WeakMap<Credential, readonly X509Certificate[]>();

/** Read once a bundle: a thousand hosts may have the same, and so may the bundles of a hundred names. */
function anchorsOf({ anchors, domains }: TrustBundle): Pick<PeerExpectation, "anchors" | "domains"> {
  return {
    anchors: readOnce(ANCHORS, anchors, readAnchors),
    ...(domains === undefined ? {} : { domains: readOnce(DOMAINS, domains, readTrustDomains) }),
  };
}

function readOnce<Written extends object, Read>(
  known: WeakMap<Written, Read>,
  written: Written,
  read: (written: Written) => Read,
): Read {
  const found = known.get(written) ?? read(written);
  known.set(written, found);
  return found;
}

const ANCHORS = new WeakMap<TrustBundle["anchors"], readonly X509Certificate[]>();
const DOMAINS = new WeakMap<NonNullable<TrustBundle["domains"]>, TrustDomains>();
