import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PeerIdentities } from "../../../model/tls.ts";
import {
  SubjectAltNameMatcher_SanType as SanType,
  type SubjectAltNameMatcherSchema,
} from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { sanMatcher, suffixMatcher, workloadMatcher } from "./peer-name.ts";

/** The SANs of which a peer must have one; none: it may be anybody whom the anchors vouch for. */
export function identityMatchers(
  identities: PeerIdentities | undefined,
): MessageInitShape<typeof SubjectAltNameMatcherSchema>[] {
  const { dnsNames = [], spiffeIds = [], trustDomains = [] } = identities ?? {};
  return [
    ...dnsNames.map((name) => (name.startsWith("*.") ? suffixMatcher(name.slice(2)) : sanMatcher(name))),
    ...spiffeIds.map((id) => ({
      sanType: SanType.URI,
      matcher: { matchPattern: { case: "exact" as const, value: id } },
    })),
    ...trustDomains.map(workloadMatcher),
  ];
}
