import { isIP, SocketAddress } from "node:net";
import { crc32c } from "./crc32c.ts";

/** What the first bytes of a connection say, read as a PROXY header (haproxy's proxy-protocol.txt, versions 1 and 2). */
export type ProxyHeader =
  | { readonly kind: "more" }
  | { readonly kind: "invalid"; readonly cause: string }
  /** `source` is null where the header leaves the connection its own address (LOCAL, UNKNOWN, not TCP). */
  | { readonly kind: "header"; readonly length: number; readonly source: string | null };

/** A header with all that haproxy adds of a client's certificate has some KiB; haproxy's own buffer is as large as this. */
export const MAX_PROXY_HEADER_BYTES: number = 16_384;

/** Consumes nothing and never throws. What could be read in two ways is invalid. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (begins(bytes, SIGNATURE)) return parseBinary(bytes);
  return begins(bytes, KEYWORD) ? parseLine(bytes) : invalid("neither version 1 nor version 2");
}

const MORE: ProxyHeader = { kind: "more" };
/** §2.2. */
const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** §2.1. */
const KEYWORD = Buffer.from("PROXY ", "latin1");
/** §2.1: the longest line, CRLF included. */
const MAX_LINE_BYTES = 107;

/** As much of it as there is. */
function begins(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function invalid(cause: string): ProxyHeader {
  return { kind: "invalid", cause };
}

function parseLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE_BYTES).findIndex((byte) => byte < 0x20 || byte > 0x7e);
  if (end === -1)
    return bytes.length < MAX_LINE_BYTES ? MORE : invalid(`no CRLF within ${MAX_LINE_BYTES} bytes`);
  if (bytes[end] !== 0x0d || end + 2 > MAX_LINE_BYTES) return invalid("the line does not end in CRLF");
  if (end + 1 === bytes.length) return MORE;
  if (bytes[end + 1] !== 0x0a) return invalid("the line does not end in CRLF");
  const length = end + 2;
  const line = bytes.toString("latin1", 0, end);
  // Whatever follows UNKNOWN is to be ignored.
  if (line === "PROXY UNKNOWN" || line.startsWith("PROXY UNKNOWN "))
    return { kind: "header", length, source: null };
  const [, protocol, source = "", destination = "", ...ports] = line.split(" ");
  const family = protocol === "TCP4" ? 4 : protocol === "TCP6" ? 6 : 0;
  if (family === 0) return invalid("the protocol is none of TCP4, TCP6 and UNKNOWN");
  // A zone is of the host that wrote it, and means nothing here.
  if ([source, destination].some((address) => isIP(address) !== family || address.includes("%")))
    return invalid(`an address is none of ${protocol}`);
  if (ports.length !== 2 || !ports.every((port) => PORT.test(port) && Number(port) <= 65_535))
    return invalid("a port is no number from 0 to 65535");
  return { kind: "header", length, source: plain(source) };
}

/** Without leading zeros, of which nobody knows whether they mean octal. */
const PORT = /^(?:0|[1-9][0-9]{0,4})$/;

function parseBinary(bytes: Buffer): ProxyHeader {
  const [versionAndCommand, protocol] = bytes.subarray(12);
  if (versionAndCommand === undefined) return MORE;
  const isLocal = versionAndCommand === 0x20;
  if (!isLocal && versionAndCommand !== 0x21) return invalid("the version is not 2, or the command unknown");
  if (protocol === undefined) return MORE;
  const addressBytes = ADDRESS_BYTES.get(protocol);
  // §2.2: with LOCAL the family is ignored, whatever it is.
  if (addressBytes === undefined && !isLocal) return invalid("the address family or protocol is unknown");
  if (bytes.length < 16) return MORE;
  const length = 16 + bytes.readUInt16BE(14);
  if (length > MAX_PROXY_HEADER_BYTES) return invalid(`more than ${MAX_PROXY_HEADER_BYTES} bytes`);
  const addressesEnd = 16 + (isLocal ? 0 : (addressBytes as number));
  if (addressesEnd > length) return invalid("shorter than its addresses");
  if (bytes.length < length) return MORE;
  const header = bytes.subarray(0, length);
  if (isLocal || protocol === UNSPECIFIED) return { kind: "header", length, source: null };
  const problem = attachmentsProblem(header, addressesEnd);
  if (problem !== null) return invalid(problem);
  return { kind: "header", length, source: sourceOf(header, protocol as number) };
}

const UNSPECIFIED = 0x00;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
/** §2.2: both addresses and ports, by family and protocol. UDP and Unix sockets are valid and tell no client of TCP. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [UNSPECIFIED, 0],
  [TCP_OVER_IPV4, 12],
  [0x12, 12],
  [TCP_OVER_IPV6, 36],
  [0x22, 36],
  [0x31, 216],
  [0x32, 216],
]);

function sourceOf(header: Buffer, protocol: number): string | null {
  if (protocol === TCP_OVER_IPV4) return header.subarray(16, 20).join(".");
  if (protocol !== TCP_OVER_IPV6) return null;
  const groups = Array.from({ length: 8 }, (_, index) => header.readUInt16BE(16 + 2 * index).toString(16));
  return plain(groups.join(":"));
}

/** What stands behind the addresses (§2.2.1 ff.): must fit, and its checksum, if it has one, must be right (§2.2.3). */
function attachmentsProblem(header: Buffer, from: number): string | null {
  let checksumAt = -1;
  let at = from;
  while (at < header.length) {
    if (at + 3 > header.length) return "an attachment is cut short";
    const valueAt = at + 3;
    const next = valueAt + header.readUInt16BE(at + 1);
    if (next > header.length) return "an attachment is cut short";
    if (header[at] === CRC32C) {
      if (next - valueAt !== 4 || checksumAt !== -1) return "the checksum is malformed";
      checksumAt = valueAt;
    }
    at = next;
  }
  if (checksumAt === -1) return null;
  const zeroed = Buffer.from(header).fill(0, checksumAt, checksumAt + 4);
  return crc32c(zeroed) === header.readUInt32BE(checksumAt) ? null : "the checksum is wrong";
}

const CRC32C = 0x03;

/** One text for each address: IPv6 in its canonical form (RFC 5952), IPv4 inside of IPv6 as IPv4. */
function plain(address: string): string {
  if (isIP(address) === 4) return address;
  const canonical = new SocketAddress({ address, family: "ipv6" }).address;
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/.test(canonical) ? canonical.slice("::ffff:".length) : canonical;
}
