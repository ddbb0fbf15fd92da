/** `host:port`, an IPv6 address in brackets (RFC 3986 §3.2.2). */
export function addressText(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}

/** A host as it stands before a port. */
export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
