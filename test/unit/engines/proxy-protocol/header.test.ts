import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c } from "../../../../src/engines/node/proxy-protocol/crc32c.ts";
import {
  MAX_PROXY_HEADER_BYTES,
  parseProxyHeader,
} from "../../../../src/engines/node/proxy-protocol/header.ts";
import {
  attachment,
  binaryProxyHeader,
  ipv4Addresses,
  LOCAL,
  PROXY,
  PROXY_SIGNATURE,
  proxyLine,
  TCP4,
  TCP6,
} from "../../../support/proxy-header.ts";

function accepted(header: string | Buffer, source: string | null): void {
  const bytes = typeof header === "string" ? Buffer.from(header, "latin1") : header;
  const wanted = { kind: "header", length: bytes.length, source };
  assert.deepEqual(parseProxyHeader(bytes), wanted);
  assert.deepEqual(
    parseProxyHeader(Buffer.concat([bytes, Buffer.from("GET /")])),
    wanted,
    "with what follows",
  );
  for (let length = 0; length < bytes.length; length++)
    assert.equal(parseProxyHeader(bytes.subarray(0, length)).kind, "more", `${length} bytes of it`);
}

function refused(header: string | Buffer, cause: RegExp): void {
  const found = parseProxyHeader(typeof header === "string" ? Buffer.from(header, "latin1") : header);
  assert.equal(found.kind, "invalid", JSON.stringify(header.toString()));
  assert.match((found as { cause: string }).cause, cause);
}

const IPV6 = Buffer.from(`${"20010db8000000000000000000000001".repeat(2)}dc0401bb`, "hex");

test("version 1: addresses, in one form each", () => {
  accepted(proxyLine("192.0.2.1"), "192.0.2.1");
  accepted(proxyLine("2001:DB8:0:0::1"), "2001:db8::1");
  accepted(proxyLine("::ffff:192.0.2.1"), "192.0.2.1");
  accepted("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255");
});

test("version 1: UNKNOWN leaves the address, whatever stands behind it", () => {
  accepted("PROXY UNKNOWN\r\n", null);
  const longest = `ffff:${"ffff:".repeat(6)}ffff`;
  accepted(`PROXY UNKNOWN ${longest} ${longest} 65535 65535\r\n`, null);
});

test("version 1: what could be read in two ways is refused", () => {
  refused("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", /address/);
  refused("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", /address/);
  refused("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", /address/);
  refused("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", /address/);
  refused("PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", /address/);
  refused("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", /address/);
  refused("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", /port/);
  refused("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", /port/);
  refused("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", /port/);
  refused("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", /port/);
  refused("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", /protocol/);
  refused("PROXY UNKNOWNS\r\n", /protocol/);
  refused("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", /CRLF/);
  refused("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rGET", /CRLF/);
  refused("PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n", /CRLF/);
  refused(`PROXY UNKNOWN ${"x".repeat(107)}`, /107/);
  refused(`PROXY UNKNOWN ${"x".repeat(92)}\r\n`, /CRLF|107/);
});

test("what is no header is refused at once, by its first bytes", () => {
  refused("GET / HTTP/1.1\r\n", /neither/);
  refused("PROXX", /neither/);
  refused("proxy TCP4", /neither/);
  refused(Buffer.from([0x16, 0x03, 0x01]), /neither/);
  refused("\r\n\r\nGET", /neither/);
});

test("version 2: addresses", () => {
  accepted(binaryProxyHeader(PROXY, TCP4, ipv4Addresses("192.0.2.1")), "192.0.2.1");
  accepted(binaryProxyHeader(PROXY, TCP6, IPV6), "2001:db8::1");
  const mapped = Buffer.concat([
    Buffer.from("00000000000000000000ffffc0000201".repeat(2), "hex"),
    Buffer.alloc(4),
  ]);
  accepted(binaryProxyHeader(PROXY, TCP6, mapped), "192.0.2.1");
});

test("version 2: LOCAL, no family, UDP and Unix sockets leave the address", () => {
  accepted(binaryProxyHeader(LOCAL, 0), null);
  accepted(binaryProxyHeader(LOCAL, 0xff, Buffer.from("anything")), null);
  accepted(binaryProxyHeader(LOCAL, TCP4, ipv4Addresses("192.0.2.1")), null);
  accepted(binaryProxyHeader(PROXY, 0), null);
  accepted(binaryProxyHeader(PROXY, 0x12, ipv4Addresses("192.0.2.1")), null);
  accepted(binaryProxyHeader(PROXY, 0x31, Buffer.alloc(216)), null);
});

test("version 2: what does not match the protocol is refused", () => {
  const addresses = ipv4Addresses("192.0.2.1");
  refused(binaryProxyHeader(0x11, TCP4, addresses), /version/);
  refused(binaryProxyHeader(0x22, TCP4, addresses), /command/);
  for (const family of [0x10, 0x13, 0x20, 0x41, 0x01])
    refused(binaryProxyHeader(PROXY, family, addresses), /family/);
  refused(binaryProxyHeader(PROXY, TCP4, addresses.subarray(1)), /shorter/);
  refused(binaryProxyHeader(PROXY, TCP6, addresses), /shorter/);
  const tooLong = Buffer.from([PROXY, TCP4, 0xff, 0xff]);
  refused(Buffer.concat([PROXY_SIGNATURE, tooLong]), new RegExp(String(MAX_PROXY_HEADER_BYTES)));
});

test("version 2: attachments must fit, and a checksum must be right", () => {
  const addresses = ipv4Addresses("192.0.2.1");
  const name = attachment(0x02, Buffer.from("a.example"));
  accepted(binaryProxyHeader(PROXY, TCP4, addresses, name, attachment(0x04, Buffer.alloc(0))), "192.0.2.1");
  refused(binaryProxyHeader(PROXY, TCP4, addresses, name.subarray(0, -1)), /cut short/);
  refused(binaryProxyHeader(PROXY, TCP4, addresses, Buffer.from([2])), /cut short/);

  const header = binaryProxyHeader(PROXY, TCP4, addresses, name, attachment(0x03, Buffer.alloc(4)));
  refused(header, /checksum/);
  header.writeUInt32BE(crc32c(header), header.length - 4);
  accepted(header, "192.0.2.1");
  header.writeUInt8(193, 16);
  refused(header, /checksum/);
  refused(binaryProxyHeader(PROXY, TCP4, addresses, attachment(0x03, Buffer.alloc(3))), /checksum/);
});

test("CRC-32C of the check value that is published for it", () => {
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
});
