/** The trust domain of a SPIFFE ID, or null where the URI is none (SPIFFE-ID §2: no port, user, query or fragment). */
export function trustDomainOf(uri: string): string | null {
  if (uri.length > MAX_BYTES) return null;
  return SPIFFE_ID.exec(uri)?.[1] ?? null;
}

/** The one SPIFFE ID among a certificate's URIs; X509-SVID §2 allows exactly one URI SAN. */
export function spiffeIdOf(uris: readonly string[]): string | undefined {
  const [only] = uris;
  return uris.length === 1 && only !== undefined && trustDomainOf(only) !== null ? only : undefined;
}

/** SPIFFE-ID §2.3. */
const MAX_BYTES = 2048;
/** Path segments are never empty, `.` or `..` (§2.2). */
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*)$/;
