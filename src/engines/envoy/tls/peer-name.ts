import { isIP } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  SubjectAltNameMatcher_SanType as SanType,
  type SubjectAltNameMatcherSchema,
} from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { canonicalAddress } from "../../../x509/address.ts";
import { hostName } from "../../../x509/names.ts";

/**
 * The SAN that a peer must have, by the rules of x509/names.ts. Envoy's own matching of DNS names takes `a*.example` for
 * `ab.example`, so the texts that may stand in a certificate are written out instead.
 */
export function sanMatcher(name: string): MessageInitShape<typeof SubjectAltNameMatcherSchema> {
  if (isIP(name) === 0) {
    return {
      sanType: SanType.DNS,
      matcher: { matchPattern: { case: "safeRegex", value: { regex: dnsPattern(name) } } },
    };
  }
  return {
    sanType: SanType.IP_ADDRESS,
    // Envoy compares texts, and writes addresses in their shortest form.
    matcher: { matchPattern: { case: "exact", value: canonicalAddress(name) } },
  };
}

/**
 * Any workload of our own trust domain, as between SPIFFE identities (design §9). Envoy's matchers are alternatives, so unlike
 * on the node engine it is not asked whether the certificate has names of hosts, or other URIs, beside it.
 */
export function workloadMatcher(trustDomain: string): MessageInitShape<typeof SubjectAltNameMatcherSchema> {
  const regex = `spiffe://${trustDomain.replaceAll(".", "\\.")}(?:/${SEGMENT})*`;
  return { sanType: SanType.URI, matcher: { matchPattern: { case: "safeRegex", value: { regex } } } };
}

/** Any name below `suffix`, however many labels before it, wildcards of the certificate among them. */
export function suffixMatcher(suffix: string): MessageInitShape<typeof SubjectAltNameMatcherSchema> {
  const regex = `(?i)(?:\\*|${LABEL})(?:\\.${LABEL})*\\.${suffix.replaceAll(".", "\\.")}`;
  return { sanType: SanType.DNS, matcher: { matchPattern: { case: "safeRegex", value: { regex } } } };
}

/** As x509/spiffe.ts has it, neither `.` nor `..`, for a syntax that cannot look ahead. */
const SEGMENT = "(?:\\.{0,2}[A-Za-z0-9_-][A-Za-z0-9._-]*|\\.{3}[A-Za-z0-9._-]*)";

/** As x509/names.ts has it. */
const LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";

/** RFC 9525 §6.3: the name itself, or a wildcard for all of its first label where two more follow, in any case. */
function dnsPattern(name: string): string {
  const host = hostName(name);
  if (host === null) return NOTHING;
  const [first = "", ...rest] = host.split(".");
  const wildcard = rest.length >= 2 && /^[a-z0-9-]+$/i.test(first) ? `|\\*\\.${rest.join("\\.")}` : "";
  return `(?i)(?:${host.replaceAll(".", "\\.")}${wildcard})`;
}

const NOTHING = "[^\\s\\S]";
