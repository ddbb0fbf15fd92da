import assert from "node:assert/strict";
import { isIP } from "node:net";
import { it } from "node:test";
import fc from "../support/fast-check.ts";
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from "../../src/engines/node/proxy-protocol/header.ts";
import { binaryProxyHeader, ipv4Addresses, PROXY_SIGNATURE } from "../support/proxy-header.ts";

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 2000);

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom("1.2.3", "01.2.3.4", "::", "fe80::1%1", "1.2.3.4.5", "::ffff:1.2.3.4", "", "1,2,3,4"),
);
const port = fc.oneof(fc.nat(70_000).map(String), fc.constantFrom("00", "+1", "-1", "1e3", "0x1", "", " 1"));
const space = fc.constantFrom(" ", " ", " ", " ", " ", "  ", "\t", "");
const ending = fc.constantFrom("\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", " \r\n", "\0\r\n", "");

const line = fc
  .tuple(
    fc.constantFrom("PROXY", "PROXY", "PROXY", "proxy", "PROX"),
    space,
    fc.constantFrom("TCP4", "TCP6", "UNKNOWN", "UDP4", "tcp4", "TCP"),
    space,
    address,
    space,
    address,
    space,
    port,
    space,
    port,
    ending,
  )
  .map((parts) => Buffer.from(parts.join(""), "latin1"));

const binary = fc
  .tuple(
    fc.constantFrom(0x21, 0x20, 0x22, 0x11),
    fc.constantFrom(0x11, 0x21, 0, 0x31, 0x12, 0x10, 0x41),
    fc.uint8Array({ maxLength: 80 }),
  )
  .map(([command, family, rest]) => binaryProxyHeader(command, family, rest));

const anything = fc.oneof(
  line,
  binary,
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.concat([PROXY_SIGNATURE, bytes])),
  fc.tuple(fc.oneof(line, binary), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([bytes, at, byte]) => {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[at % changed.length] = byte;
    return changed;
  }),
);

it("whatever the bytes: no exception, no waiting beyond the bound, and a source is an address in one form", () => {
  fc.assert(
    fc.property(anything, (bytes) => {
      const found = parseProxyHeader(bytes);
      if (found.kind === "more") assert.ok(bytes.length < MAX_PROXY_HEADER_BYTES);
      if (found.kind !== "header") return;
      assert.ok(found.length <= bytes.length);
      if (found.source === null) return;
      assert.notEqual(isIP(found.source), 0);
      assert.equal(found.source, found.source.toLowerCase());
      assert.doesNotMatch(found.source, /%|^::ffff:\d+\./);
    }),
    { numRuns: RUNS },
  );
});

it("what follows a header, and how it is cut into segments, changes nothing of how it is read", () => {
  fc.assert(
    fc.property(anything, fc.uint8Array({ maxLength: 20 }), (bytes, next) => {
      const whole = parseProxyHeader(bytes);
      const first = firstVerdict(bytes);
      if (whole.kind === "header") {
        assert.deepEqual(parseProxyHeader(Buffer.concat([bytes, next])), whole);
        assert.deepEqual(first, whole);
      } else assert.equal(first.kind, whole.kind);
    }),
    { numRuns: RUNS },
  );
});

/** As the bytes come one by one. */
function firstVerdict(bytes: Buffer): ReturnType<typeof parseProxyHeader> {
  for (let length = 0; length <= bytes.length; length++) {
    const found = parseProxyHeader(bytes.subarray(0, length));
    if (found.kind !== "more") return found;
  }
  return { kind: "more" };
}

/** The protocol's text (§2.1) once more, as one expression: whoever is accepted must match it. */
const LINE =
  /^PROXY (?:UNKNOWN(?: [ -~]*)?|TCP4( [0-9.]{7,15}){2}( \d{1,5}){2}|TCP6( [0-9A-Fa-f:.]{2,45}){2}( \d{1,5}){2})\r\n$/;

it("version 1 accepts nothing that its grammar does not", () => {
  fc.assert(
    fc.property(line, (bytes) => {
      const found = parseProxyHeader(bytes);
      if (found.kind === "header") assert.match(bytes.toString("latin1", 0, found.length), LINE);
    }),
    { numRuns: RUNS },
  );
});

it("every connection over IPv4 that a proxy tells of is read back", () => {
  fc.assert(
    fc.property(fc.ipV4(), (source) => {
      const header = binaryProxyHeader(0x21, 0x11, ipv4Addresses(source));
      assert.deepEqual(parseProxyHeader(header), { kind: "header", length: 28, source });
    }),
  );
});
