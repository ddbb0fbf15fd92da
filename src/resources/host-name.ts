/** A host name, `*.name` or `*` in the form that names are compared in; null where the text is none of them. */
export function domainOf(written: string): string | null {
  const domain = written.toLowerCase().replace(/\.$/, "");
  return DOMAIN.test(domain) ? domain : null;
}

/** Underscores are no host names (RFC 952), and yet in many clusters. */
const DOMAIN =
  /^(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*)$/;
