import { isIPv6, SocketAddress } from "node:net";

/** An IPv6 address in its one canonical text (RFC 5952); anything else as it is. */
export function canonicalAddress(text: string): string {
  return isIPv6(text) ? new SocketAddress({ address: text, family: "ipv6" }).address : text;
}
