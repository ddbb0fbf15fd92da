/** The route configuration of a virtual host's resource. Domains hold no slash. */
export function ownerOf(virtualHost: string): string {
  return virtualHost.slice(0, Math.max(0, virtualHost.lastIndexOf("/")));
}
