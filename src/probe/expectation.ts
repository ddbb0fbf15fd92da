import type { CredentialReader } from "../credentials/credential.ts";
import type { PeerRules } from "../model/tls.ts";
import { type PeerExpectation, readAnchors } from "../x509/verify.ts";

/** What `verifyPeer` is to ask for by the rules of the model and what the store has. */
export function expectationOf(
  { usage, name, trustDomain }: Pick<PeerExpectation, "usage" | "name" | "trustDomain">,
  anchors: readonly string[],
  rules: PeerRules = {},
  credentials: Pick<CredentialReader, "crl"> | null = null,
): PeerExpectation {
  const { identities, spkiSha256, maxDepth, revocation } = rules;
  const lists = revocation === undefined ? undefined : credentials?.crl(revocation.crl)?.lists;
  return {
    usage,
    anchors: readAnchors(anchors),
    // Identities stand instead of the name.
    ...(identities === undefined
      ? { ...(name === undefined ? {} : { name }), ...(trustDomain === undefined ? {} : { trustDomain }) }
      : { identities }),
    ...(spkiSha256 === undefined ? {} : { spkiSha256 }),
    ...(maxDepth === undefined ? {} : { maxDepth }),
    ...(revocation === undefined
      ? {}
      : { revocation: { lists: lists ?? NO_LISTS, policy: revocation.policy } }),
  };
}

/** Of no CA is there a list: `crl_policy` says what that means. */
const NO_LISTS: NonNullable<PeerExpectation["revocation"]>["lists"] = { facts: [], ofIssuer: new Map() };
