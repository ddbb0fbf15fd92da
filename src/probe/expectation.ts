import type { PeerRules } from "../model/tls.ts";
import { type PeerExpectation, readAnchors } from "../x509/verify.ts";

/** What `verifyPeer` is to ask for by the rules of the model. */
export function expectationOf(
  asked: Pick<PeerExpectation, "usage" | "name" | "trustDomain">,
  anchors: readonly string[],
  rules: PeerRules = {},
): PeerExpectation {
  const { identities, spkiSha256, maxDepth } = rules;
  const { usage, name, trustDomain } = asked;
  return {
    usage,
    anchors: readAnchors(anchors),
    ...(identities === undefined
      ? { ...(name === undefined ? {} : { name }), ...(trustDomain === undefined ? {} : { trustDomain }) }
      : { identities }),
    ...(spkiSha256 === undefined ? {} : { spkiSha256 }),
    ...(maxDepth === undefined ? {} : { maxDepth }),
  };
}
