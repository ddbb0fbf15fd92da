/**
 * Headers of the PROXY protocol that speak for nobody: version 1 with an unknown client, version 2 of a local connection
 * (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, 2.1 and 2.2). A receiver has to take either.
 */
export const PROXY_HEADERS: readonly [ProxyHeader, ProxyHeader] = [
  { version: 1, bytes: Buffer.from("PROXY UNKNOWN\r\n", "latin1") },
  { version: 2, bytes: Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex") },
];

interface ProxyHeader {
  readonly version: 1 | 2;
  readonly bytes: Buffer;
}
