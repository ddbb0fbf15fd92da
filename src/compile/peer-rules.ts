import { asksBeyondNames } from "../model/tls-capabilities.ts";
import type { PeerIdentities, PeerRules } from "../model/tls.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import { fileCredentialName } from "../resources/tls-context.ts";
import { identityName, type TlsIdentity } from "../resources/tls-identity.ts";
import type { TlsVerify } from "../resources/tls-verify.ts";
import { hostName } from "../x509/names.ts";
import { trustDomainOf } from "../x509/spiffe.ts";

/** Tells of what makes the whole context unusable, at a field of its spec. */
export type RefuseVerify = (field: string, message: string) => void;

/**
 * `verify` of a context in the model's terms; undefined where none is written. What cannot be meant closes the context:
 * a rule that is dropped would let in whom it was to keep out. `crlSecret`: the store's name for a written Secret.
 */
export function peerRules(
  resource: TlsContextResource,
  hasTrust: boolean,
  checksClients: boolean,
  crlSecret: (written: string) => string,
  refuse: RefuseVerify,
): PeerRules | undefined {
  const { verify } = resource.spec;
  if (verify === undefined) return undefined;
  if (!hasTrust)
    refuse("verify", "verify adds to the check against a CA, and there is none: give `ca_secret`");
  else if (resource.terminates && !checksClients)
    refuse(
      "verify",
      "verify is about client certificates, and none is asked for: give `ca_secret` or cert_required",
    );
  const identities = identitiesOf(verify, refuse);
  const revocation = revocationOf(verify, resource, crlSecret, refuse);
  return {
    ...(identities === undefined ? {} : { identities }),
    ...(verify.spki_sha256 === undefined ? {} : { spkiSha256: sorted(verify.spki_sha256) }),
    ...(revocation === undefined ? {} : { revocation }),
    ...(verify.max_depth === undefined ? {} : { maxDepth: verify.max_depth }),
  };
}

/**
 * Without identities, whoever has a SPIFFE ID that the agent's CAs vouch for is taken. Where those are of the own trust domain alone, that is
 * said: which engine keeps the other rules depends on it.
 */
export function withOwnDomain(
  rules: PeerRules,
  identity: TlsIdentity | undefined,
  trustDomain: string | undefined,
): PeerRules {
  const { spiffe } = identity ?? {};
  const isAlone = spiffe !== undefined && (spiffe.federated ?? []).length === 0;
  if (!isAlone || trustDomain === undefined || rules.identities !== undefined || !asksBeyondNames(rules))
    return rules;
  return { identities: { trustDomains: [trustDomain] }, ...rules };
}

function identitiesOf(verify: TlsVerify, refuse: RefuseVerify): PeerIdentities | undefined {
  const { dns_names, spiffe_ids, trust_domains } = verify;
  const names = dns_names?.map((written) => written.toLowerCase());
  for (const name of names ?? [])
    if (hostName(name.replace(/^\*\./, "")) === null || name.endsWith("."))
      refuse("verify.dns_names", `${name} is neither a host name nor \`*.\` before one`);
  for (const id of spiffe_ids ?? []) {
    const domain = trustDomainOf(id);
    if (domain === null) refuse("verify.spiffe_ids", `${id} is no SPIFFE ID`);
    else if (trust_domains !== undefined && !trust_domains.includes(domain))
      refuse("verify.spiffe_ids", `${id} lies in none of trust_domains`);
  }
  // IDs say more than their domains, which would let in the rest.
  const domains = spiffe_ids === undefined ? trust_domains : undefined;
  if (names === undefined && spiffe_ids === undefined && domains === undefined) return undefined;
  return {
    ...(names === undefined ? {} : { dnsNames: sorted(names) }),
    ...(spiffe_ids === undefined ? {} : { spiffeIds: sorted(spiffe_ids) }),
    ...(domains === undefined ? {} : { trustDomains: sorted(domains) }),
  };
}

function revocationOf(
  { crl_file, crl_secret, crl_policy }: TlsVerify,
  resource: TlsContextResource,
  crlSecret: (written: string) => string,
  refuse: RefuseVerify,
): PeerRules["revocation"] {
  const policy = crl_policy ?? "require";
  if (crl_file !== undefined && crl_secret !== undefined)
    refuse("verify.crl_file", "exactly one of crl_file and crl_secret must be present");
  if (crl_file !== undefined) return { crl: fileCredentialName(resource), policy };
  if (crl_secret !== undefined) return { crl: crlSecret(crl_secret), policy };
  const { identity } = resource.spec;
  // An agent sends lists along with its CAs; asking for a policy asks for them.
  if (crl_policy !== undefined && (identity?.spiffe ?? identity?.istio_sds) !== undefined)
    return { crl: identityName(identity as TlsIdentity), policy };
  if (crl_policy !== undefined)
    refuse(
      "verify.crl_policy",
      "crl_policy is about revocation lists, and none is given: write crl_file or crl_secret",
    );
  return undefined;
}

/** Each once, in one order: the same rules are the same model. */
function sorted(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}
