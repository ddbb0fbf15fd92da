import type { PeerIdentities, PeerRules, TlsParameters } from "./tls.ts";

/** A parameter that cannot be put into Envoy's terms, and why, for the operator. */
export interface Untranslatable {
  readonly parameter: "cipherSuites" | "groups";
  readonly message: string;
}

/**
 * What of the parameters Envoy's TLS (BoringSSL) cannot do; empty: all of it can be done.
 * Left out in silence, a cipher or a group would widen or narrow what was asked for.
 */
export function untranslatable(parameters: TlsParameters): Untranslatable[] {
  const found: Untranslatable[] = [];
  for (const cipher of parameters.cipherSuites)
    if (!isSuite13(cipher) && !ENVOY_CIPHERS.has(cipher.toUpperCase()))
      found.push({ parameter: "cipherSuites", message: `Envoy has no cipher ${cipher}` });
  if (parameters.maxVersion === "v1.3" && !allOrNoSuites13(parameters.cipherSuites))
    found.push({
      parameter: "cipherSuites",
      message: "Envoy offers all TLS 1.3 cipher suites or none of them, and in its own order",
    });
  for (const group of parameters.groups)
    if (!ENVOY_GROUPS.has(group))
      found.push({ parameter: "groups", message: `Envoy has no key exchange group ${group}` });
  return found;
}

/** Whom rules are for; of optional clients a certificate is asked, and they may have none. */
export type RuledPeers = "upstreams" | "clients" | "optional-clients";

/** The SPIFFE trust domain that all of these are of; null: of several, or they have names of another kind. */
export function soleTrustDomain(identities: PeerIdentities | undefined): string | null {
  const { dnsNames = [], spiffeIds = [], trustDomains = [] } = identities ?? {};
  const [domain = null, ...others] = new Set([
    ...trustDomains,
    ...spiffeIds.map((id) => id.split("/")[2] ?? ""),
  ]);
  return dnsNames.length + others.length === 0 ? domain : null;
}

/** Whether rules ask for what Envoy's SPIFFE validator takes no notice of. */
export function asksBeyondNames({ spkiSha256, revocation, maxDepth }: PeerRules): boolean {
  return (spkiSha256 ?? revocation ?? maxDepth) !== undefined;
}

/**
 * What of the rules for peers Envoy 1.40 was seen not to keep, and why; empty: it keeps them. Its SPIFFE validator, which checks
 * by trust domains, does chain, dates and names, and takes no notice of the rest: for peers of one trust domain its other validator
 * does all, with the CAs of that domain alone. Fields are those of a TLSContext.
 */
export function untranslatableRules(
  { identities, spkiSha256, revocation, maxDepth }: PeerRules,
  asked: { readonly byTrustDomain: boolean; readonly peers: RuledPeers },
): { readonly field: string; readonly message: string }[] {
  const { peers } = asked;
  const byTrustDomain = asked.byTrustDomain && soleTrustDomain(identities) === null;
  const found: { readonly field: string; readonly message: string }[] = [];
  const unheeded = (field: string, what: string): void => {
    const message = `Envoy heeds no ${what} where peers may be of several SPIFFE trust domains, or have other names`;
    found.push({ field, message });
  };
  if (byTrustDomain && maxDepth !== undefined) unheeded("verify.max_depth", "maximum depth");
  else if (peers === "upstreams" && maxDepth !== undefined)
    found.push({
      field: "verify.max_depth",
      message: "Envoy takes a maximum depth (max_verify_depth) for upstreams and does not heed it",
    });
  if (peers === "optional-clients" && (identities ?? spkiSha256) !== undefined)
    found.push({
      field: "verify",
      message:
        "Envoy takes no client without a certificate where it looks at names or pins (it would with cert_required: true)",
    });
  if (byTrustDomain && spkiSha256 !== undefined) unheeded("verify.spki_sha256", "pins");
  if (byTrustDomain && revocation !== undefined) unheeded("verify", "revocation lists");
  else if (revocation !== undefined && revocation.policy !== "require")
    found.push({
      field: "verify.crl_policy",
      message: `Envoy refuses peers where a list of any CA of the chain is stale or missing, so it cannot ${revocation.policy}`,
    });
  return found;
}

/** IANA's names are those of TLS 1.3; OpenSSL's are those of the versions below. */
export function isSuite13(cipher: string): boolean {
  return cipher.toUpperCase().startsWith("TLS_");
}

function allOrNoSuites13(ciphers: readonly string[]): boolean {
  const written = new Set(ciphers.filter(isSuite13).map((name) => name.toUpperCase()));
  return written.size === 0 || SUITES_13.every((name) => written.has(name));
}

const SUITES_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/** Tried one by one on Envoy 1.40. */
const ENVOY_CIPHERS = new Set(
  (
    "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 " +
    "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305 " +
    "ECDHE-ECDSA-AES128-SHA ECDHE-ECDSA-AES128-SHA256 ECDHE-ECDSA-AES256-SHA " +
    "ECDHE-RSA-AES128-SHA ECDHE-RSA-AES128-SHA256 ECDHE-RSA-AES256-SHA " +
    "AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA"
  ).split(" "),
);

/** Tried one by one on Envoy 1.40; it has no X448 and no hybrid of the P curves. */
const ENVOY_GROUPS = new Set(
  "X25519MLKEM768 X25519 P-256 P-384 P-521 prime256v1 secp384r1 secp521r1".split(" "),
);

/** Faults of a peer that a trusted CA vouched for, and for which Envoy 1.40 was seen not to refuse it (docs/verification.md). */
export const PASSED_BY_ENVOY: Readonly<Partial<Record<string, string>>> = {
  key_weak: "Envoy takes RSA keys below 2048 bits",
  signature_weak: "Envoy takes signatures with SHA-1",
  chain_too_deep: "Envoy takes a maximum depth for upstreams and does not heed it",
  path_too_long: "Envoy does not heed the pathLenConstraint of the trusted CA itself",
};
