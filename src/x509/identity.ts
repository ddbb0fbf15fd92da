import { isIP } from "node:net";
import { oneLineName } from "./certificate.ts";
import { ATTRIBUTE, attributesOf } from "./distinguished-name.ts";
import { KEY_USAGE } from "./extensions.ts";
import { shortened } from "./finding.ts";
import { printGeneralName } from "./general-name.ts";
import { hostName, verifyPeerName } from "./names.ts";
import type { ParsedCertificate } from "./parsed-certificate.ts";
import { spiffeIdOf, trustDomainOf } from "./spiffe.ts";

/** Whom a peer must prove to be. Without any of it, anybody whom an anchor vouches for. */
export interface ExpectedIdentity {
  /** A DNS name or IP address that it must have; absent with `identities`, and for clients. */
  readonly name?: string;
  /** Of our own SPIFFE ID: a peer that has only a SPIFFE ID may be of it instead of having `name`. */
  readonly trustDomain?: string;
  readonly identities?: {
    readonly dnsNames?: readonly string[];
    readonly spiffeIds?: readonly string[];
    readonly trustDomains?: readonly string[];
  };
}

export type IdentityCheck =
  | { readonly ok: true; readonly identity: string }
  | { readonly ok: false; readonly fault: "name_mismatch" | "spiffe_id_mismatch"; readonly says: string };

/** Checks who the leaf of a path says that it is; what vouches for that is checked before. */
export function checkIdentity(path: readonly ParsedCertificate[], expected: ExpectedIdentity): IdentityCheck {
  const leaf = path[0] as ParsedCertificate;
  const { name, trustDomain, identities } = expected;
  if (identities !== undefined) return anyOf(path, identities);
  if (name === undefined) return { ok: true, identity: ownName(leaf) };
  if (verifyPeerName(leaf.certificate, name).ok) return { ok: true, identity: name };
  const isNamed = leaf.alternativeNames.some(({ kind }) => kind === "dns" || kind === "ip");
  if (trustDomain === undefined || isNamed || spiffeId(leaf) === undefined)
    return {
      ok: false,
      fault: "name_mismatch",
      says: `is not for ${shortened(name)} but for ${presented(leaf)}`,
    };
  return spiffe(path, (_id, domain) => domain === trustDomain, `of the trust domain ${trustDomain}`);
}

function anyOf(
  path: readonly ParsedCertificate[],
  { dnsNames = [], spiffeIds = [], trustDomains = [] }: NonNullable<ExpectedIdentity["identities"]>,
): IdentityCheck {
  const leaf = path[0] as ParsedCertificate;
  const matched = dnsNames.find((wanted) => hasDnsName(leaf, wanted));
  if (matched !== undefined) return { ok: true, identity: matched };
  const wanted = [...spiffeIds, ...trustDomains.map((domain) => `the trust domain ${domain}`)];
  const asksSpiffe = wanted.length > 0 && (dnsNames.length === 0 || spiffeId(leaf) !== undefined);
  if (!asksSpiffe) {
    const says = `is for none of ${listed(dnsNames)} but for ${presented(leaf)}`;
    return { ok: false, fault: "name_mismatch", says };
  }
  return spiffe(
    path,
    (id, domain) => spiffeIds.includes(id) || trustDomains.includes(domain),
    `any of ${listed(wanted)}`,
  );
}

/** X509-SVID §5.2: the leaf has one URI, is no CA, and its CAs are of its trust domain where they name one (§4.2). */
function spiffe(
  path: readonly ParsedCertificate[],
  isWanted: (id: string, trustDomain: string) => boolean,
  wanted: string,
): IdentityCheck {
  const [leaf, ...issuers] = path as [ParsedCertificate, ...ParsedCertificate[]];
  const no = (says: string): IdentityCheck => ({ ok: false, fault: "spiffe_id_mismatch", says });
  const id = spiffeId(leaf);
  if (id === undefined)
    return no(`${withoutId(leaf)}, and ${wanted} is expected; it is for ${presented(leaf)}`);
  const domain = trustDomainOf(id) as string;
  if (!isWanted(id, domain)) return no(`has the SPIFFE ID ${shortened(id)}, which is not ${wanted}`);
  const signs = KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign;
  if (leaf.basicConstraints?.ca === true || ((leaf.keyUsage ?? 0) & signs) !== 0)
    return no(`is a CA's, so its SPIFFE ID ${shortened(id)} is no workload's`);
  const stranger = issuers
    .map(spiffeId)
    .find((above) => above !== undefined && trustDomainOf(above) !== domain);
  if (stranger !== undefined)
    return no(`has the SPIFFE ID ${shortened(id)} from a CA of ${shortened(stranger)}`);
  return { ok: true, identity: id };
}

function spiffeId({ alternativeNames }: ParsedCertificate): string | undefined {
  return spiffeIdOf(alternativeNames.flatMap((name) => (name.kind === "uri" ? [name.text] : [])));
}

function withoutId({ alternativeNames }: ParsedCertificate): string {
  const uris = alternativeNames.flatMap((name) => (name.kind === "uri" ? [name.text] : []));
  const [only] = uris;
  if (uris.length > 1) return `has ${uris.length} URIs, where a SPIFFE ID must be the only one`;
  if (only === undefined || !/^spiffe:/i.test(only)) return "has no SPIFFE ID as its one URI";
  return "has a URI that is no SPIFFE ID (trust domains are in lower case, and segments of a path are letters, digits, `.`, `_` and `-`, none of them empty)";
}

/** A wildcard of the certificate stands for one label (RFC 9525 §6.3), `*.suffix` for any number. */
function hasDnsName(leaf: ParsedCertificate, wanted: string): boolean {
  if (!wanted.startsWith("*."))
    return hostName(wanted) !== null && verifyPeerName(leaf.certificate, wanted).ok;
  const suffix = wanted.slice(1).toLowerCase();
  return leaf.alternativeNames.some((name) => {
    if (name.kind !== "dns") return false;
    const host = hostName(name.text.replace(/^\*\./, ""));
    return host !== null && name.text.toLowerCase().endsWith(suffix);
  });
}

function ownName(leaf: ParsedCertificate): string {
  const subject = oneLineName(leaf.certificate.subject);
  if (subject !== "") return subject;
  return leaf.alternativeNames.slice(0, 1).map(printGeneralName).join();
}

function presented({ alternativeNames, subject }: ParsedCertificate): string {
  if (alternativeNames.length > 0)
    return listed(
      alternativeNames.map((name) =>
        name.kind === "dns" && isIP(name.text) !== 0
          ? `${name.text} (as a DNS name, which an address is not)`
          : printGeneralName(name),
      ),
    );
  const isCommon = attributesOf(subject, ATTRIBUTE.commonName).length > 0;
  return isCommon ? "no name, as its common name does not count (RFC 9525 §2)" : "no name";
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 10).map((name) => shortened(name));
  return names.length > 10 ? `${shown.join(", ")} and ${names.length - 10} more` : shown.join(", ");
}
