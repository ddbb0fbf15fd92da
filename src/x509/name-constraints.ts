import { ATTRIBUTE, attributesOf } from "./distinguished-name.ts";
import type { NameConstraints, Subtree } from "./extensions.ts";
import { type CertificateFinding, described, shortened } from "./finding.ts";
import { type GeneralName, printGeneralName } from "./general-name.ts";
import { isSelfIssued } from "./issuer.ts";
import { hostName } from "./names.ts";
import type { ParsedCertificate } from "./parsed-certificate.ts";

/**
 * The first name of the path outside of what a CA above may vouch for (RFC 5280 §4.2.1.10, §6.1.3 b-c), anchors included:
 * who trusts a constrained CA means it so. Of self-issued certificates only the leaf's names count.
 */
export function outsideConstraints(path: readonly ParsedCertificate[]): CertificateFinding | null {
  let comparisons = 0;
  for (const [index, certificate] of path.entries()) {
    const above = path.slice(index + 1).filter(({ nameConstraints }) => nameConstraints !== null);
    if (above.length === 0) return null;
    if (index > 0 && isSelfIssued(certificate)) continue;
    const names = constrainedNames(certificate, index === 0);
    for (const ca of above) {
      const constraints = ca.nameConstraints as NameConstraints;
      comparisons += names.length * (constraints.permitted.length + constraints.excluded.length);
      const outside =
        comparisons > MAX_COMPARISONS ? "more names than can be compared" : firstOutside(names, constraints);
      if (outside !== null)
        return {
          fault: "name_constraint",
          certificate,
          says: `has ${outside}: ${described(ca)} constrains names`,
        };
    }
  }
  return null;
}

/** OpenSSL's bound is 2^20 for each CA; the peer sends both, names and constraints. */
const MAX_COMPARISONS = 1 << 16;

/** A clause about the first name that is not allowed, or null. */
function firstOutside(
  names: readonly GeneralName[],
  { permitted, excluded }: NameConstraints,
): string | null {
  for (const name of names) {
    const isOfKind = ({ base }: Subtree): boolean => kindOf(base) === kindOf(name);
    const allowed = permitted.filter(isOfKind);
    const denied = excluded.filter(isOfKind);
    if (allowed.length === 0 && denied.length === 0) continue;
    const printed = shortened(printGeneralName(name));
    if ([...allowed, ...denied].some(({ base, isBounded }) => isBounded || !isBase(base)))
      return `the name ${printed}, for which there is a constraint that cannot be applied`;
    // Names that are no names of their kind could mean one thing here and another to who uses them.
    if (!isComparable(name)) return `the name ${printed}, which no constraint can be applied to`;
    if (denied.some(({ base }) => isWithin(name, base, "excluded"))) return `the excluded name ${printed}`;
    if (allowed.length > 0 && !allowed.some(({ base }) => isWithin(name, base, "permitted")))
      return `the name ${printed}, which is not permitted`;
  }
  return null;
}

/**
 * subjectAltName, the subject as a directoryName, its e-mail addresses, and of a leaf without a DNS name the common name,
 * if it could be one: we never use it as such, OpenSSL constrains it.
 */
function constrainedNames(certificate: ParsedCertificate, isLeaf: boolean): GeneralName[] {
  const { alternativeNames, subject } = certificate;
  const names: GeneralName[] = [...alternativeNames];
  if (subject.relative.length > 0) names.push({ kind: "directory", name: subject });
  for (const text of attributesOf(subject, ATTRIBUTE.emailAddress)) names.push({ kind: "email", text });
  if (isLeaf && !alternativeNames.some(({ kind }) => kind === "dns")) {
    for (const text of attributesOf(subject, ATTRIBUTE.commonName))
      if (/^[\w-]+(?:\.[\w-]+)+$/.test(text)) names.push({ kind: "dns", text });
  }
  return names;
}

function kindOf(name: GeneralName): string {
  if (name.kind === "other") return name.oid === SMTP_UTF8_MAILBOX ? "email" : `other ${name.oid}`;
  return name.kind === "unused" ? `unused ${name.tag}` : name.kind;
}

/** An e-mail address by another form (RFC 9598), which nobody here reads. */
const SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9";

function isComparable(name: GeneralName): boolean {
  if (name.kind === "other" || name.kind === "unused") return false;
  return !("text" in name) || /^[\x21-\x7e]*$/.test(name.text);
}

/** As RFC 5280 §4.2.1.10 has it: what is written otherwise (`*.example.com`, a whole URI) would quietly exclude nobody. */
function isBase(base: GeneralName): boolean {
  if (!isComparable(base)) return false;
  switch (base.kind) {
    case "dns":
    case "uri":
      return isHostBase(base.text);
    case "email": {
      const at = base.text.lastIndexOf("@");
      const host = base.text.slice(at + 1);
      return at > 0 ? hostName(host) !== null : isHostBase(host);
    }
    case "ip":
      return base.octets.length === 8 || base.octets.length === 32;
    default:
      return true;
  }
}

function isHostBase(text: string): boolean {
  const host = text.startsWith(".") ? text.slice(1) : text;
  return text === "" || (hostName(host) !== null && !host.endsWith("."));
}

function isWithin(name: GeneralName, base: GeneralName, list: "permitted" | "excluded"): boolean {
  // What cannot be taken apart is in every excluded subtree and in no permitted one.
  const unclear = list === "excluded";
  if (name.kind === "dns" && base.kind === "dns") return isDnsWithin(name.text, base.text, list);
  if (name.kind === "email" && base.kind === "email") return isEmailWithin(name.text, base.text) ?? unclear;
  if (name.kind === "uri" && base.kind === "uri") return isUriWithin(name.text, base.text) ?? unclear;
  if (name.kind === "ip" && base.kind === "ip") return isAddressWithin(name.octets, base.octets) ?? unclear;
  if (name.kind === "directory" && base.kind === "directory")
    return base.name.relative.every((relative, index) => relative === name.name.relative[index]);
  return unclear;
}

/** Any number of labels before the base. A wildcard is within an excluded name that it can stand for. */
function isDnsWithin(written: string, base: string, list: "permitted" | "excluded"): boolean {
  const name = written.toLowerCase();
  const suffix = base.toLowerCase();
  if (suffix === "") return true;
  const isWildcard = name.startsWith("*.");
  if (hostName(isWildcard ? name.slice(2) : name) === null || name.endsWith(".")) return list === "excluded";
  if (list === "excluded" && isWildcard && suffix.slice(suffix.indexOf(".")) === name.slice(1)) return true;
  if (suffix.startsWith(".")) return name.length > suffix.length && name.endsWith(suffix);
  return name === suffix || name.endsWith(`.${suffix}`);
}

/** `user@host` is one mailbox, `host` all of a host, `.domain` all hosts below it. */
function isEmailWithin(address: string, base: string): boolean | null {
  const [local, host, ...more] = address.split("@");
  if (local === undefined || local === "" || host === undefined || host === "" || more.length > 0)
    return null;
  const at = base.lastIndexOf("@");
  if (at > 0) return local === base.slice(0, at) && isSame(host, base.slice(at + 1));
  return isHostWithin(host, at === 0 ? base.slice(1) : base);
}

/** Of the host alone; a URI without one, or with an address, is not to be accepted. */
function isUriWithin(uri: string, base: string): boolean | null {
  const host = /^[a-z][a-z0-9+.-]*:\/\/([a-z0-9._-]+)(?:$|[:/])/i.exec(uri)?.[1];
  if (host === undefined || /^[\d.]+$|\.$/.test(host)) return null;
  return isHostWithin(host, base);
}

function isHostWithin(host: string, base: string): boolean {
  if (base === "") return true;
  if (!base.startsWith(".")) return isSame(host, base);
  return host.length > base.length && isSame(host.slice(-base.length), base);
}

function isAddressWithin(address: Buffer, base: Buffer): boolean | null {
  if (address.length !== 4 && address.length !== 16) return null;
  if (base.length !== address.length * 2) return false;
  return address.every((octet, index) => {
    const mask = base[address.length + index] as number;
    return (octet & mask) === ((base[index] as number) & mask);
  });
}

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
