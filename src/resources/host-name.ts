import { domainToASCII } from "node:url";

/** A host name, `*.name` or `*` in the form that names are compared in; null where the text is none of them. */
export function domainOf(written: string): string | null {
  const domain = written.toLowerCase().replace(/\.$/, "");
  return DOMAIN.test(domain) ? domain : null;
}

/** Underscores are no host names (RFC 952), and yet in many clusters. */
const DOMAIN =
  /^(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*)$/;

/** Clause for a name in another script, which DNS and certificates have in ASCII (RFC 5891); empty where there is no such form. */
export function inAscii(written: string): string {
  if (/^[\x21-\x7e]*$/.test(written)) return "";
  const [, wildcard = "", name = ""] = /^(\*\.)?(.*)$/s.exec(written) ?? [];
  const ascii = domainToASCII(name);
  return domainOf(ascii) === null ? "" : `; in ASCII it is \`${wildcard}${ascii}\``;
}
