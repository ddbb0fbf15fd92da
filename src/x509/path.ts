import type { X509Certificate } from "node:crypto";
import { isIssuedBy } from "./chain.ts";

export type PathCheck =
  /** Leaf first, the anchor that vouches for it last. */
  | { readonly ok: true; readonly path: readonly X509Certificate[] }
  | { readonly ok: false; readonly reason: string };

/**
 * Whether a certificate chains to one of the anchors at `now` (RFC 5280 §6), which may be intermediates themselves:
 * signatures, dates, CA flags and the leaf's extended key usage. Path lengths and name constraints are left to OpenSSL,
 * which judges real handshakes.
 */
export function checkPath(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  usage: "client" | "server",
  now: number,
): PathCheck {
  const purposes = leaf.keyUsage ?? [];
  if (purposes.length > 0 && !purposes.includes(USAGES[usage]) && !purposes.includes(ANY_USAGE))
    return { ok: false, reason: `it is not meant for ${usage}s (extended key usage)` };
  const paths: X509Certificate[][] = [];
  const grow = (path: readonly X509Certificate[]): void => {
    const last = path.at(-1) as X509Certificate;
    if (anchors.some((anchor) => anchor.fingerprint256 === last.fingerprint256)) {
      paths.push([...path]);
      return;
    }
    if (path.length > MAX_DEPTH) return;
    for (const issuer of [...anchors, ...intermediates]) {
      const isThere = path.some((known) => known.fingerprint256 === issuer.fingerprint256);
      if (!isThere && issuer.ca && isIssuedBy(last, issuer)) grow([...path, issuer]);
    }
  };
  grow([leaf]);
  if (paths.length === 0) return { ok: false, reason: "it chains to none of the CAs" };
  const problems = paths.map((path) => outOfDate(path, now));
  const good = problems.indexOf(null);
  return good === -1
    ? { ok: false, reason: problems[0] as string }
    : { ok: true, path: paths[good] as X509Certificate[] };
}

const USAGES = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;
const ANY_USAGE = "2.5.29.37.0";
/** OpenSSL's own bound is 100; nobody has a chain of ten. */
const MAX_DEPTH = 10;

function outOfDate(path: readonly X509Certificate[], now: number): string | null {
  for (const [index, certificate] of path.entries()) {
    const whose = index === 0 ? "it" : `its issuer ${(certificate.subject ?? "").replaceAll("\n", ", ")}`;
    if (certificate.validToDate.getTime() < now) return `${whose} expired at ${certificate.validTo}`;
    if (certificate.validFromDate.getTime() > now)
      return `${whose} is not valid before ${certificate.validFrom}`;
  }
  return null;
}
